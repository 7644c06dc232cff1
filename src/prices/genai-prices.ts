import {
  calcPrice,
  findProvider,
  type ModelInfo,
  type ModelPrice,
  type Provider,
} from '@pydantic/genai-prices';
import { LRUCache } from 'lru-cache';
import type { BookPrice } from '../catalog/catalog.ts';
import { entriesUpTo } from '../domain/entries-up-to.ts';
import type { Rate } from '../domain/money.ts';
import type { PriceList, RateTier } from '../domain/pricing.ts';
import type { UsageClass } from '../domain/usage.ts';
import { decimalRate } from './decimal-rate.ts';
import { addHourWrites, type Rated } from './hour-writes.ts';
import { providerName } from './provider-names.ts';
import { addFreeSearchInput } from './search-input.ts';

const source = 'genai-prices';

/** Where the package calls a provider otherwise; Gemini models have one price on both of Google's APIs. */
const packageIds: ReadonlyMap<string, string> = new Map([
  ['gemini', 'google'],
  ['vertex', 'google'],
  ['bedrock', 'aws'],
  ['xai', 'x-ai'],
  ['moonshot', 'moonshotai'],
  ['voyage', 'voyageai'],
]);

interface Priced {
  readonly usageClass: UsageClass;
  readonly perUnits: 1_000 | 1_000_000;
}

const tokens = (usageClass: UsageClass): Priced => ({ usageClass, perUnits: 1_000_000 });
const units = (usageClass: UsageClass): Priced => ({ usageClass, perUnits: 1_000 });

/** The package's names of the prices that can be charged; the suffix is the unit: mega-tokens, kilo-counts. */
const prices: Readonly<Record<string, Priced>> = {
  input_mtok: tokens('input'),
  output_mtok: tokens('output'),
  cache_read_mtok: tokens('cache_read'),
  cache_write_mtok: tokens('cache_write_5m'),
  cache_write_5m_mtok: tokens('cache_write_5m'),
  cache_write_1h_mtok: tokens('cache_write_1h'),
  input_audio_mtok: tokens('input_audio'),
  cache_audio_read_mtok: tokens('cache_read_audio'),
  output_audio_mtok: tokens('output_audio'),
  output_image_mtok: tokens('output_image'),
  output_reasoning_mtok: tokens('reasoning'),
  requests_kcount: units('requests'),
  web_searches_kcount: units('web_search'),
  storage_searches_kcount: units('file_search'),
};

/** A model as the package has it, alone in a provider: found again without a search through all others. */
interface Found {
  readonly model: ModelInfo;
  readonly alone: Provider;
}

/** Names come from routes and from answers of upstreams, so what is remembered of them is bounded. */
const found = new LRUCache<string, Found | 'none'>(entriesUpTo(10_000));

/** Of providers' names as they are written anywhere; a search through the package's patterns each. */
const knownIds = new LRUCache<string, { readonly id: string | undefined }>(entriesUpTo(1_000));

/** By the package's own object: a model with several prices by date has one entry for each. */
const read = new WeakMap<ModelPrice, BookPrice | 'none'>();

/**
 * The price that comes with Tollgate of a provider's model, as it is at `atMs`: some change on a day,
 * some with the hour. Undefined for a provider or model that the package doesn't know, and for one that
 * is paid by a unit that no request is measured in, such as seconds or pages.
 */
export function builtInPrice(provider: string, model: string, atMs: number): BookPrice | undefined {
  const id = packageId(provider);
  if (id === undefined) return undefined;
  const one = findModel(id, model);
  if (one === undefined) return undefined;
  const price = priceAt(one, model, atMs);
  return price === undefined ? undefined : bookPrice(price, one.model);
}

/** A model of a provider by the package's own name, for whoever serves all that there are. */
export interface BuiltInModel {
  readonly name: string;
  /** Whether everything that it is paid for can be charged: no unit is left out. */
  readonly wholly: boolean;
}

/** A provider's models that aren't deprecated and have a built-in price. */
export function builtInModels(provider: string, atMs: number): readonly BuiltInModel[] {
  const id = packageId(provider);
  const models = id === undefined ? [] : (findProvider({ providerId: id })?.models ?? []);
  return models.flatMap(({ id: name, deprecated = false }) => {
    const one = deprecated || id === undefined ? undefined : findModel(id, name);
    const price = one === undefined ? undefined : priceAt(one, name, atMs);
    if (price === undefined || one === undefined || bookPrice(price, one.model) === undefined) return [];
    return [{ name, wholly: Object.keys(price).every((key) => prices[key] !== undefined) }];
  });
}

/** The package would also take a name that merely contains a provider's: a price must not be guessed. */
function packageId(provider: string): string | undefined {
  let known = knownIds.get(provider);
  if (known === undefined) {
    const name = providerName(provider);
    const id = packageIds.get(name) ?? name;
    known = { id: findProvider({ providerId: id })?.id === id ? id : undefined };
    knownIds.set(provider, known);
  }
  return known.id;
}

function findModel(providerId: string, name: string): Found | undefined {
  const key = `${providerId}\n${name}`;
  let one = found.get(key);
  if (one === undefined) {
    // Its own search knows aliases, dates in names, and whose models a provider resells at whose price.
    const calculated = calcPrice({}, name, { providerId });
    if (calculated === null) one = 'none';
    else {
      const { model, provider } = calculated;
      one = { model, alone: { id: provider.id, name: provider.name, api_pattern: '', models: [model] } };
    }
    found.set(key, one);
  }
  return one === 'none' ? undefined : one;
}

function priceAt({ model, alone }: Found, name: string, atMs: number): ModelPrice | undefined {
  if (!Array.isArray(model.prices)) return model.prices;
  return calcPrice({}, name, { provider: alone, timestamp: new Date(atMs) })?.model_price;
}

function bookPrice(price: ModelPrice, model: ModelInfo): BookPrice | undefined {
  let known = read.get(price);
  if (known === undefined) {
    const list = priceList(price, model.id);
    // The package's context windows aren't taken for bounds: some are smaller than what its tiers price.
    const bounds = { maxInputTokens: null, maxOutputTokens: null };
    known = list === undefined ? 'none' : { prices: list, ...bounds, source };
    read.set(price, known);
  }
  return known === 'none' ? undefined : known;
}

function priceList(price: ModelPrice, modelId: string): PriceList | undefined {
  const base: Rated = {};
  const byStart = new Map<number, Rated>();
  const starts = [...new Set(Object.values(price).flatMap(startsOf))].sort((a, b) => a - b);
  for (const start of starts) byStart.set(start, {});
  for (const [key, value] of Object.entries(price)) {
    const priced = prices[key];
    if (priced === undefined || value === undefined) continue;
    base[priced.usageClass] = exactRate(typeof value === 'number' ? value : value.base, priced);
    if (typeof value === 'number') continue;
    for (const [start, rates] of byStart) {
      // A tier of ours overrides the base and not the tier below it, so it repeats what began before it.
      const begun = value.tiers.filter((tier) => tier.start <= start);
      const last = begun.reduce<(typeof begun)[number] | undefined>(
        (latest, tier) => (latest === undefined || tier.start >= latest.start ? tier : latest),
        undefined,
      );
      if (last !== undefined) rates[priced.usageClass] = exactRate(last.price, priced);
    }
  }
  if (base.input === undefined && base.output === undefined) return undefined;
  for (const rates of [base, ...byStart.values()]) addHourWrites(modelId, rates);
  addFreeSearchInput(modelId, base);
  // The package takes a tier where the prompt's tokens are more than its start, for the whole request.
  const tiers = [...byStart].map(([start, rates]): RateTier => ({ aboveInputTokens: start, rates }));
  return { rates: base, ...(tiers.length === 0 ? {} : { tiers }) };
}

function startsOf(value: ModelPrice[string]): readonly number[] {
  return typeof value === 'object' ? value.tiers.map(({ start }) => start) : [];
}

/** The shortest decimal that is this float is the one that was published. */
function exactRate(price: number, { perUnits }: Priced): Rate {
  const exact = decimalRate(String(price), perUnits);
  if (exact === null) throw new Error(`the price book has a price that is none: ${price}`);
  return exact.rate;
}
