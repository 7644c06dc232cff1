import { calcPrice, type ModelPrice } from '@pydantic/genai-prices';
import * as tokenizerModels from 'gpt-tokenizer/models';
import type { CatalogStore } from '../catalog/catalog.ts';
import type { UpstreamId } from '../domain/ids.ts';
import { parseRate, type Rate } from '../domain/money.ts';
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
  /** Not served, because the price book has no price of theirs. */
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
    const price = priceOf(name);
    if (price === null) left.push(name);
    else served.push(name);
    if (price === null || known.has(name)) continue;
    const { rates, maxInputTokens } = price;
    const route = {
      upstreamId,
      upstreamModel: name,
      weight: 1,
      priority: 0,
      whenClientGone: 'cancel',
    } as const;
    await catalog.putModel(
      { name, routes: [route], rateCard: { effectiveFromMs: 0, rates }, maxInputTokens, maxOutputTokens },
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

/** A model's price for prompts up to a length; longer ones cost more with some models. */
export interface ModelPriceUpTo {
  readonly rates: Rates;
  readonly maxInputTokens: number | null;
}

/**
 * The price book's price of a model, or null where it has none. Rate cards don't know tiers by the
 * prompt's length yet: of a price with tiers the first one is taken, and longer prompts aren't served.
 */
export function priceOf(model: string): ModelPriceUpTo | null {
  const found = calcPrice({ input_tokens: 0, output_tokens: 0 }, model, { providerId: 'openai' });
  return found === null ? null : readPrices(found.model_price);
}

function readPrices(prices: ModelPrice): ModelPriceUpTo | null {
  const rates: [UsageClass, Rate][] = [];
  let maxInputTokens: number | null = null;
  for (const [name, price] of Object.entries(prices)) {
    const usageClass = classOfPrice[name];
    if (usageClass === undefined || price === undefined) continue;
    if (typeof price === 'number') {
      rates.push([usageClass, exactRate(price)]);
      continue;
    }
    rates.push([usageClass, exactRate(price.base)]);
    // A tier begins with the first token beyond its start.
    for (const { start } of price.tiers) maxInputTokens = Math.min(maxInputTokens ?? start, start);
  }
  const read: Rates = Object.fromEntries(rates);
  return read.input === undefined || read.output === undefined ? null : { rates: read, maxInputTokens };
}

/** The shortest decimal that is this number is the one that was published. */
function exactRate(price: number): Rate {
  return parseRate(String(price), 1_000_000);
}
