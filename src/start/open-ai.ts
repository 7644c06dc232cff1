import { calcPrice, type ModelPrice } from '@pydantic/genai-prices';
import * as tokenizerModels from 'gpt-tokenizer/models';
import type { CatalogStore } from '../catalog/catalog.ts';
import type { UpstreamId } from '../domain/ids.ts';
import { parseRate } from '../domain/money.ts';
import type { Rates } from '../domain/pricing.ts';
import type { UsageClass } from '../domain/usage.ts';

const upstreamId = 'openai' as UpstreamId;
const actor = 'OPENAI_API_KEY';

/** The price book's names of the classes that a chat completion can have. */
const classOfPrice: Readonly<Record<string, UsageClass>> = {
  input_mtok: 'input',
  output_mtok: 'output',
  cache_read_mtok: 'cache_read',
  cache_write_mtok: 'cache_write_5m',
  input_audio_mtok: 'input_audio',
  output_audio_mtok: 'output_audio',
};

export interface OpenAiModels {
  readonly served: readonly string[];
  /** Not served, because their price depends on more than a rate card can say yet. */
  readonly left: readonly string[];
}

/** OpenAI's current chat models under their own names, at the price book's rates. What is there already stays. */
export async function setUpOpenAi(catalog: CatalogStore, baseUrl: string): Promise<OpenAiModels> {
  await catalog.putUpstream(
    {
      id: upstreamId,
      provider: 'openai',
      dialects: ['openai.chat'],
      baseUrl,
      // Read from the environment whenever it is used, so that it is never stored.
      credential: 'env:OPENAI_API_KEY',
      headersTimeoutMs: 600_000,
      idleTimeoutMs: 300_000,
    },
    { actor, action: 'upstream.put', subject: upstreamId, detail: {} },
  );
  const known = new Set((await catalog.listModels()).map(({ name }) => name));
  const served: string[] = [];
  const left: string[] = [];
  for (const { name, maxOutputTokens } of chatModels()) {
    const rates = ratesOf(name);
    if (rates === null) left.push(name);
    else served.push(name);
    if (rates === null || known.has(name)) continue;
    const route = {
      upstreamId,
      upstreamModel: name,
      weight: 1,
      priority: 0,
      whenClientGone: 'cancel',
    } as const;
    await catalog.putModel(
      { name, routes: [route], rateCard: { effectiveFromMs: 0, rates }, maxOutputTokens },
      { actor, action: 'model.put', subject: name, detail: {} },
    );
  }
  return { served, left };
}

interface ChatModel {
  readonly name: string;
  readonly maxOutputTokens: number | null;
}

function chatModels(): ChatModel[] {
  return Object.entries(tokenizerModels).flatMap(([name, model]) => {
    const {
      supported_endpoints: endpoints = [],
      deprecated = false,
      max_output_tokens: maximum,
    } = model as {
      supported_endpoints?: readonly string[];
      deprecated?: boolean;
      max_output_tokens?: number;
    };
    if (deprecated || !endpoints.includes('chat_completions') || name === 'default') return [];
    return [{ name, maxOutputTokens: maximum ?? null }];
  });
}

/** The rates of a model, or null where the price book has none, or one that depends on the prompt's length. */
export function ratesOf(model: string): Rates | null {
  const found = calcPrice({ input_tokens: 0, output_tokens: 0 }, model, { providerId: 'openai' });
  return found === null ? null : readPrices(found.model_price);
}

function readPrices(prices: ModelPrice): Rates | null {
  const rates: [UsageClass, ReturnType<typeof parseRate>][] = [];
  for (const [name, price] of Object.entries(prices)) {
    const usageClass = classOfPrice[name];
    if (usageClass === undefined || price === undefined) continue;
    if (typeof price !== 'number') return null;
    // The shortest decimal that is this number is the one that was published.
    rates.push([usageClass, parseRate(String(price), 1_000_000)]);
  }
  const read: Rates = Object.fromEntries(rates);
  return read.input === undefined || read.output === undefined ? null : read;
}
