import type { PublishedPrice } from '../catalog/catalog.ts';
import type { Rate } from '../domain/money.ts';
import type { PriceList, TieredRates } from '../domain/pricing.ts';
import type { UsageClass } from '../domain/usage.ts';
import { addHourWrites, type Rated } from './hour-writes.ts';
import {
  type Draft,
  type DraftRates,
  everyRates,
  newDraft,
  put,
  ratesAbove,
  serviceTierOf,
} from './litellm-draft.ts';
import { type Entry, meaningOf, type PriceField, tokenCount } from './litellm-fields.ts';
import { addMultipliedTiers, factorsMember, hasFactors } from './litellm-multipliers.ts';
import { type ModelName, modelNameOf } from './litellm-names.ts';
import { readRanges } from './litellm-ranges.ts';
import { searchPrice } from './litellm-search.ts';
import { addFreeSearchInput } from './search-input.ts';

export interface ReadEntry extends ModelName {
  readonly price: PublishedPrice;
  /** Whether digits of a price were taken for noise. */
  readonly rounded: boolean;
  /** Whether the price of one-hour cache writes isn't the map's own. */
  readonly derived: boolean;
  /** Members with a price that can't be charged, beside those that can. */
  readonly uncharged: readonly string[];
  /** Whether every price is zero. */
  readonly isFree: boolean;
}

export interface Unreadable {
  readonly reason: string;
}

export const source = 'litellm';

/** Reads an entry into the classes that requests are measured in; what can't be charged is told, not guessed. */
export function readEntry(key: string, entry: Entry): ReadEntry | Unreadable {
  const liteLlmProvider = entry.litellm_provider;
  if (typeof liteLlmProvider !== 'string') return { reason: 'names no provider' };
  const name = modelNameOf(key, liteLlmProvider);
  if ('reason' in name) return name;
  const draft = newDraft();
  readMembers(entry, name, draft);
  if (draft.malformed !== null) return { reason: `has a price that is none in ${draft.malformed}` };
  settle(entry, draft);
  const derived = everyRates(draft).filter((rates) => addHourWrites(name.model, rates)).length > 0;
  addMultipliedTiers(entry[factorsMember], draft);
  addFreeSearchInput(name.model, draft.standard.base);
  const problem = whyNotCharged(draft);
  if (problem !== null) return { reason: problem };
  const prices = priceListOf(draft);
  const limits = {
    maxInputTokens: maxInput(entry, prices),
    maxOutputTokens: tokenLimit(entry.max_output_tokens),
  };
  const price = { provider: name.provider, model: name.model, prices, ...limits, source };
  const { rounded, uncharged } = draft;
  return { ...name, price, rounded, derived, uncharged, isFree: isFree(draft) };
}

function readMembers(entry: Entry, name: ModelName, draft: Draft): void {
  // Beside a price of its tokens, the price of a whole image is the same one in other words.
  const hasImageTokens = entry.output_cost_per_image_token !== undefined;
  for (const [member, value] of Object.entries(entry)) {
    if (value === null || value === undefined || (member === factorsMember && hasFactors(value))) continue;
    if (member === 'tiered_pricing') readRanges(value, draft);
    else if (member === 'search_context_cost_per_query') {
      const { usageClass, text } = searchPrice(entry, name);
      if (text !== undefined) put(draft, draft.standard.base, { usageClass, perUnits: 1 }, { member, text });
    } else if (!(hasImageTokens && member === 'output_cost_per_image')) {
      readMember(generatedImage(entry, member), value, name, draft);
    }
  }
}

/** Of models that only make images, the map says what an image costs as often by its input. */
function generatedImage(entry: Entry, member: string): string {
  const makesImages = entry.mode === 'image_generation' || entry.mode === 'image_edit';
  const isOnlyPrice = entry.output_cost_per_image === undefined && entry.input_cost_per_token === undefined;
  return member === 'input_cost_per_image' && makesImages && isOnlyPrice ? 'output_cost_per_image' : member;
}

function readMember(member: string, value: unknown, name: ModelName, draft: Draft): void {
  const meaning = meaningOf(member);
  if (meaning === 'no_price') return;
  if (meaning === 'uncharged') {
    if (typeof value === 'object' || Number(value) !== 0) draft.uncharged.push(member);
    return;
  }
  const rates = ratesFor(meaning, name, draft);
  if (meaning.outdated && rates[meaning.usageClass] !== undefined) return;
  put(draft, rates, meaning, { member, text: value });
}

function ratesFor(
  { aboveInputTokens, serviceTier }: PriceField,
  { provider }: ModelName,
  draft: Draft,
): Rated {
  const rates = serviceTierOf(draft, serviceTier);
  if (aboveInputTokens === null) return rates.base;
  // xAI charges the long prompt's price from the bound itself on, everyone else beyond it.
  return ratesAbove(rates, provider === 'xai' ? aboveInputTokens - 1 : aboveInputTokens);
}

/** Modes whose answers have no tokens. */
const withoutOutput: ReadonlySet<unknown> = new Set(['embedding', 'rerank', 'moderation']);

/** What the map leaves to whoever reads it. */
function settle(entry: Entry, { standard, serviceTiers }: Draft): void {
  const { base } = standard;
  if (base.input !== undefined && base.output === undefined) {
    // All that a model for images writes are images.
    if (base.output_image !== undefined) base.output = base.output_image;
    else if (withoutOutput.has(entry.mode)) base.output = 0n as Rate;
  }
  // Reasoning that costs as other output does so for long prompts and other service tiers as well.
  if (base.reasoning === base.output) delete base.reasoning;
  for (const [bound, long] of standard.byLength) {
    for (const tier of serviceTiers.values()) {
      // A service tier without a price of its own for long prompts has the standard one, never its short one.
      for (const [usageClass, rate] of Object.entries(long)) {
        if (tier.base[usageClass] === undefined || rate === undefined) continue;
        ratesAbove(tier, bound)[usageClass] ??= rate;
      }
    }
  }
}

function isFree(draft: Draft): boolean {
  return everyRates(draft).every((rates) => Object.values(rates).every((rate) => rate === 0n));
}

/** Null where every token and unit that the entry prices can be charged, or enough of them. */
function whyNotCharged(draft: Draft): string | null {
  const { base } = draft.standard;
  const given = Object.keys(base);
  const [foreign] = draft.uncharged;
  if (foreign !== undefined && isFree(draft)) return `is paid by ${foreign}, which isn't measured`;
  if (given.length === 0) return 'has no price';
  const pricesTokens = given.some((usageClass) => !unitsAlone.has(usageClass));
  for (const usageClass of ['input', 'output'] as const) {
    if (pricesTokens && base[usageClass] === undefined) return `has no price of its ${usageClass} tokens`;
  }
  return null;
}

const unitsAlone: ReadonlySet<UsageClass> = new Set([
  'image',
  'requests',
  'web_search',
  'grounded_prompt',
  'file_search',
  'code_interpreter',
]);

function tieredOf({ base, byLength }: DraftRates): TieredRates {
  const tiers = [...byLength]
    .sort(([a], [b]) => a - b)
    .map(([aboveInputTokens, rates]) => ({ aboveInputTokens, rates }));
  return { rates: base, ...(tiers.length === 0 ? {} : { tiers }) };
}

function priceListOf({ standard, serviceTiers }: Draft): PriceList {
  const named = [...serviceTiers].sort(([a], [b]) => (a < b ? -1 : 1));
  if (named.length === 0) return tieredOf(standard);
  const tiered = named.map(([name, rates]): [string, TieredRates] => [name, tieredOf(rates)]);
  return { ...tieredOf(standard), serviceTiers: Object.fromEntries(tiered) };
}

function tokenLimit(value: unknown): number | null {
  const count = tokenCount(value);
  return count === 0 ? null : count;
}

/** A longest prompt that is shorter than a length which has a price of its own is out of date. */
function maxInput(entry: Entry, { tiers = [] }: PriceList): number | null {
  const limit = tokenLimit(entry.max_input_tokens);
  const bound = tiers.at(-1)?.aboveInputTokens;
  return limit !== null && bound !== undefined && limit <= bound ? null : limit;
}
