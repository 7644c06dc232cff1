import { z } from 'zod';
import { maxPricesPerCall, price, publishedPrice, sentPriceJson } from '../admin/prices.ts';
import type { PublishedPrice } from '../catalog/catalog.ts';
import type { PriceStore } from './price-store.ts';

export interface AdminPriceStoreOptions {
  /** Of the running gateway, for instance "http://127.0.0.1:8000". */
  readonly url: string;
  readonly adminToken: string;
}

/** What a running gateway answered, or that none did, in words for whoever ran the command. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
}

/** The admin plane takes a mebibyte; this leaves room for what is around the prices. */
const maxBodyBytes = 900_000;
const timeoutMs = 60_000;

const page = z.object({ data: z.array(price.extend({ source: z.string() })) });

/** The admin plane of a running gateway: it owns its ledger, and its caches learn of the change at once. */
export function createAdminPriceStore({ url, adminToken }: AdminPriceStoreOptions): PriceStore {
  const call = async (method: 'GET' | 'POST', body?: string): Promise<unknown> => {
    const target = `${url.replace(/\/+$/, '')}/admin/v1/prices`;
    const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };
    const signal = AbortSignal.timeout(timeoutMs);
    let response: Response;
    try {
      response = await fetch(target, { method, headers, signal, ...(body === undefined ? {} : { body }) });
    } catch (cause) {
      throw new GatewayError(`No gateway answers on ${url} (${reasonOf(cause)}).`, { cause });
    }
    const text = await response.text();
    if (response.ok) return parseJson(text);
    throw new GatewayError(`The gateway on ${url} refused (${response.status}): ${messageOf(text)}`);
  };
  return {
    list: async () => {
      const parsed = page.safeParse(await call('GET'));
      if (!parsed.success) throw new GatewayError(`What answers on ${url} is no gateway of this version.`);
      return parsed.data.data.map(({ source, ...sent }) => publishedPrice(sent, source));
    },
    put: async (prices, source) => {
      let written = 0;
      for (const part of partsOf(prices)) {
        const body = JSON.stringify({ source, prices: part.map(sentPriceJson) });
        await call('POST', body).catch((error: unknown) => {
          throw new GatewayError(`${wordsOf(error)}\n${progress(written, prices.length)}`, { cause: error });
        });
        written += part.length;
      }
    },
    close: async () => undefined,
  };
}

const progress = (written: number, all: number) =>
  `${written} of ${all} prices are known to be imported; the same import again completes it.`;

/** As many prices as a call takes; each part is one transaction of the gateway. */
function* partsOf(prices: readonly PublishedPrice[]): Generator<readonly PublishedPrice[]> {
  let part: PublishedPrice[] = [];
  let bytes = 0;
  for (const one of prices) {
    const size = Buffer.byteLength(JSON.stringify(sentPriceJson(one))) + 1;
    if (part.length > 0 && (part.length === maxPricesPerCall || bytes + size > maxBodyBytes)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(one);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const refused = z.object({ error: z.object({ message: z.string() }) });

function messageOf(text: string): string {
  const parsed = refused.safeParse(parseJson(text));
  return parsed.success ? parsed.data.error.message : 'it did not say why';
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** `fetch` says only that it failed; why is in its cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? wordsOf(error);
}
