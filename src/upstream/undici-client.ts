import { pipeline, Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { LRUCache } from 'lru-cache';
import { Agent, type Dispatcher, errors } from 'undici';
import type { Cancellation } from '../domain/cancellation.ts';
import { entriesUpTo } from '../domain/entries-up-to.ts';
import { maxBodyBytes, ResponseBody } from './response-body.ts';
import {
  type Unreachable,
  type UpstreamBody,
  UpstreamBodyError,
  type UpstreamCall,
  type UpstreamClient,
  type UpstreamResponse,
} from './upstream.ts';

export interface UndiciClientOptions {
  readonly connectTimeoutMs?: number;
}

/** What a connection reads before it is asked for: one read may come to more. */
const readAheadBytes = 16 * 1024;

const timeouts = [errors.HeadersTimeoutError, errors.BodyTimeoutError, errors.ConnectTimeoutError];

function reasonOf(error: unknown, signal: Cancellation): UpstreamBodyError['reason'] {
  if (signal.aborted) return 'aborted';
  return timeouts.some((kind) => error instanceof kind) ? 'timeout' : 'cut';
}

/** Providers over undici: as many connections as there are open requests, kept alive between them. */
export function createUndiciClient({ connectTimeoutMs = 10_000 }: UndiciClientOptions = {}): UpstreamClient {
  const connect = { timeout: connectTimeoutMs, highWaterMark: readAheadBytes };
  const agent = new Agent({ connect, pipelining: 1 });
  const addresses = new LRUCache<string, Address>(entriesUpTo(mostAddresses));
  return {
    send: (call) => send(agent, call, addressIn(addresses, call.url)),
    close: () => agent.destroy(),
  };
}

function send(agent: Agent, call: UpstreamCall, address: Address): Promise<UpstreamResponse | Unreachable> {
  const { promise, resolve } = Promise.withResolvers<UpstreamResponse | Unreachable>();
  const handler = new ExchangeHandler(call.signal, resolve);
  const options: Dispatcher.DispatchOptions = {
    ...address,
    method: 'POST',
    headers: call.headers,
    body: call.body,
    headersTimeout: call.headersTimeoutMs,
    bodyTimeout: call.idleTimeoutMs,
  };
  try {
    agent.dispatch(options, handler);
  } catch (error) {
    handler.onResponseError(null, error as Error);
  }
  return promise;
}

interface Address {
  readonly origin: string;
  readonly path: string;
}

/** They are those of routes, with models in the path of some: most are called again and again. */
const mostAddresses = 1_000;

function addressIn(addresses: LRUCache<string, Address>, url: string): Address {
  const known = addresses.get(url);
  if (known !== undefined) return known;
  const { origin, pathname, search } = new URL(url);
  const address = { origin, path: `${pathname}${search}` };
  addresses.set(url, address);
  return address;
}

/** One exchange, told by undici as it goes; the signal can end it at any point of it. */
class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #signal: Cancellation;
  readonly #answer: (answer: UpstreamResponse | Unreachable) => void;
  readonly #abort = () => this.#cancel();
  #controller: Dispatcher.DispatchController | null = null;
  #body: ResponseBody | null = null;
  #sent = false;

  constructor(signal: Cancellation, answer: (answer: UpstreamResponse | Unreachable) => void) {
    this.#signal = signal;
    this.#answer = answer;
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** The request is on a connection: from here on the provider may have seen it. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#signal.aborted) this.#cancel();
    else this.#sent = true;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx: the answer is still to come.
    if (status < 200) return;
    const body = new ResponseBody(controller);
    this.#body = body;
    const present = presentHeaders(headers);
    this.#answer({
      kind: 'response',
      status,
      headers: present,
      body: decompressed(body, present['content-encoding']),
    });
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#body?.push(chunk);
  }

  onResponseEnd(): void {
    this.#release();
    this.#body?.end();
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    this.#release();
    const reason = reasonOf(error, this.#signal);
    if (this.#body !== null) this.#body.fail(reason, error);
    else this.#unreachable(reason, error);
  }

  #cancel(): void {
    if (this.#controller !== null) this.#controller.abort(new Error('the exchange was cancelled'));
    // Before there is a connection nothing can be aborted: whoever waits is answered all the same.
    else this.#unreachable('aborted', this.#signal.reason);
  }

  #unreachable(reason: UpstreamBodyError['reason'], cause: unknown): void {
    this.#answer({
      kind: 'unreachable',
      reason: reason === 'cut' ? 'connection' : reason,
      sent: this.#sent,
      cause,
    });
  }

  #release(): void {
    this.#signal.removeEventListener('abort', this.#abort);
  }
}

function presentHeaders(
  headers: Record<string, string | string[] | undefined>,
): Record<string, string | string[]> {
  const present: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    // Of this one, an assignment would make the values of others.
    if (value !== undefined && name !== '__proto__') present[name] = value;
  }
  return present;
}

const decompressors: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/** A provider that compresses although it was asked not to is still metered, and its client can read it. */
function decompressed(body: ResponseBody, encoding: string | string[] | undefined): UpstreamBody {
  const create = decompressors[String(encoding ?? 'identity').toLowerCase()];
  return create === undefined ? body : decompress(body, create());
}

async function* decompress(body: ResponseBody, decompressor: NodeJS.ReadWriteStream): AsyncGenerator<Buffer> {
  let bytes = 0;
  try {
    // A failure of either end reaches whoever reads, so the callback has nothing to do.
    for await (const chunk of pipeline(Readable.from(body), decompressor, () => undefined)) {
      bytes += chunk.length;
      if (bytes > maxBodyBytes) throw new Error(`the answer is longer than ${maxBodyBytes} bytes`);
      yield chunk as unknown as Buffer;
    }
  } catch (error) {
    throw error instanceof UpstreamBodyError ? error : new UpstreamBodyError('cut', { cause: error });
  }
}
