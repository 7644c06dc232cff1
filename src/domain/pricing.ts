import { divideUp, type NanoUsd, nano, type Rate } from './money.ts';
import { inputClasses, outputClasses, type Usage, type UsageClass } from './usage.ts';

/** Prices by usage class, in nano per 1,000,000 units. A class that is absent has no price of its own. */
export type Rates = Readonly<Partial<Record<UsageClass, Rate>>>;

/** What changes for the whole of a request whose prompt is longer than a bound. */
export interface RateTier {
  /** Of all input classes together. */
  readonly aboveInputTokens: number;
  /** In place of the base rates; a class that is absent keeps its base rate. */
  readonly rates: Rates;
}

/** Rates that may depend on the prompt's length. */
export interface TieredRates {
  readonly rates: Rates;
  /** By ascending bound. */
  readonly tiers?: readonly RateTier[];
}

/** The prices of a model: its standard ones, and what other service tiers charge in their place. */
export interface PriceList extends TieredRates {
  /** By the name of the service tier: batch, flex, priority. */
  readonly serviceTiers?: Readonly<Record<string, TieredRates>>;
}

/** The prices of a model from a moment on. */
export interface RateCard extends PriceList {
  readonly effectiveFromMs: number;
}

/** Which of a model's prices were taken. */
export interface Selection {
  readonly rates: Rates;
  /** The bound of the tier by the prompt's length; null: below all of them. */
  readonly aboveInputTokens: number | null;
  /** The service tier that served it; null where it was the standard one. */
  readonly serviceTier: string | null;
  /** Whether the service tier has prices of its own; else the standard ones were taken. */
  readonly serviceTierIsPriced: boolean;
}

/** Parts per million: what a tenant pays of the listed price; 1,000,000 is the price itself. */
export const unitMultiplierPpm = 1_000_000n;

/** How many units a rate is for. */
export const unitsPerRate = 1_000_000n;

/** A class without a price is charged as its plain sibling, never silently as nothing. */
const fallbackClass: Readonly<Partial<Record<UsageClass, UsageClass>>> = {
  cache_read: 'input',
  cache_write_5m: 'input',
  cache_write_1h: 'cache_write_5m',
  input_audio: 'input',
  cache_read_audio: 'cache_read',
  input_search: 'input',
  reasoning: 'output',
  output_audio: 'output',
  output_image: 'output',
};

/** Names under which providers say that nothing special served it. */
const standardTiers: ReadonlySet<string> = new Set([
  '',
  'auto',
  'default',
  'standard',
  'standard_only',
  'on_demand',
]);

/** The name of a service tier as rate cards have it; null for the standard one. */
export function serviceTierName(tier: string | null | undefined): string | null {
  const name = tier?.toLowerCase() ?? '';
  return standardTiers.has(name) ? null : name;
}

export interface FoundRate {
  readonly rate: Rate;
  readonly usageClass: UsageClass;
}

/** The rate of a class, or of the nearest sibling that has one; null where none has. */
export function findRate(rates: Rates, usageClass: UsageClass): FoundRate | null {
  let candidate: UsageClass | undefined = usageClass;
  while (candidate !== undefined) {
    const rate: Rate | undefined = rates[candidate];
    if (rate !== undefined) return { rate, usageClass: candidate };
    candidate = fallbackClass[candidate];
  }
  return null;
}

function tierAt(tiers: readonly RateTier[] | undefined, tokens: number): RateTier | null {
  let current: RateTier | null = null;
  for (const tier of tiers ?? []) {
    if (tokens > tier.aboveInputTokens) current = tier;
  }
  return current;
}

/** Names come from outside: none is a member that every object has. */
function ownTier({ serviceTiers = {} }: PriceList, name: string): TieredRates | undefined {
  return Object.hasOwn(serviceTiers, name) ? serviceTiers[name] : undefined;
}

/** Of a tier that is two things at once (`fast_us`), the first has a price where both together have none. */
function partOfTier(prices: PriceList, name: string): TieredRates | undefined {
  const end = name.lastIndexOf('_');
  return end <= 0 ? undefined : (ownTier(prices, name.slice(0, end)) ?? ownTier(prices, name.slice(end + 1)));
}

/**
 * The rates for a prompt of this length at this service tier. Each overrides what stands before it:
 * base rates, the tier by length, the service tier, the service tier's own tier by length.
 */
export function selectRates(prices: PriceList, promptTokens: number, serviceTier: string | null): Selection {
  const name = serviceTierName(serviceTier);
  const own = name === null ? undefined : ownTier(prices, name);
  const special = own ?? (name === null ? undefined : partOfTier(prices, name));
  const tier = tierAt(prices.tiers, promptTokens);
  const specialTier = tierAt(special?.tiers, promptTokens);
  const isStandard = tier === null && special === undefined;
  return {
    rates: isStandard
      ? prices.rates
      : { ...prices.rates, ...tier?.rates, ...special?.rates, ...specialTier?.rates },
    aboveInputTokens: specialTier?.aboveInputTokens ?? tier?.aboveInputTokens ?? null,
    serviceTier: name,
    serviceTierIsPriced: name === null || own !== undefined,
  };
}

/** The dearest rate among classes: a hold is placed before it is known which of them will occur. */
function dearestRate(candidates: readonly Rates[], classes: readonly UsageClass[]): Rate {
  let dearest = 0n as Rate;
  for (const rates of candidates) {
    for (const usageClass of classes) {
      const rate = findRate(rates, usageClass)?.rate;
      if (rate !== undefined && rate > dearest) dearest = rate;
    }
  }
  return dearest;
}

/** What bounds the charge of a request that hasn't run. */
export interface HoldRates {
  /** The dearest that a token of the prompt, and of the answer, can have. */
  readonly input: Rate;
  readonly output: Rate;
  /** For the request itself and the units that it may come to, as a sum of units times rates. */
  readonly fixed: bigint;
}

/** A request that hasn't run, as far as its price depends on it. */
export interface Expected {
  /** Upper estimate. */
  readonly inputTokens: number;
  readonly units: Usage;
  /** As the client asks for it. */
  readonly serviceTier: string | null;
}

/** An estimate may be this share of itself too low, so a prompt may still be of the tier above it. */
const estimateMarginShare = 0.06;

/** Every selection that a prompt of up to this length may come to. */
function possibleRates(prices: PriceList, longest: number, serviceTier: string | null): readonly Rates[] {
  const isFlat = prices.tiers === undefined && prices.serviceTiers === undefined;
  // Most are: nothing else of the request changes them.
  if (isFlat) return [prices.rates];
  const bounds = [prices, ...Object.values(prices.serviceTiers ?? {})].flatMap(({ tiers }) => tiers ?? []);
  const lengths = [0, longest, ...bounds.map(({ aboveInputTokens }) => aboveInputTokens + 1)];
  const reached = lengths.filter((length) => length <= longest);
  // Asked for a service tier, a provider may still serve the standard one.
  return [null, serviceTierName(serviceTier)].flatMap((tier) =>
    reached.map((length) => selectRates(prices, length, tier).rates),
  );
}

/**
 * The dearest rates of all that may be taken: whatever tier the prompt turns out to be of, and whoever
 * serves it.
 * @param lists the model's own, and those of models that the provider may use besides
 */
export function holdRates(lists: readonly PriceList[], expected: Expected): HoldRates {
  const { inputTokens: estimate, units, serviceTier } = expected;
  const longest = estimate * (1 + estimateMarginShare);
  const candidates: Rates[] = [];
  for (const prices of lists) candidates.push(...possibleRates(prices, longest, serviceTier));
  let fixed = dearestRate(candidates, ['requests']) as bigint;
  for (const unit in units) fixed += BigInt(units[unit] ?? 0) * dearestRate(candidates, [unit]);
  return {
    input: dearestRate(candidates, inputClasses),
    output: dearestRate(candidates, outputClasses),
    fixed,
  };
}

/** The charge of one request with so many tokens at the dearest rates, rounded up. */
export function worstCharge(input: number, output: number, rates: HoldRates, multiplierPpm: bigint): NanoUsd {
  const scaled = BigInt(input) * rates.input + BigInt(output) * rates.output + rates.fixed;
  return nano(divideUp(scaled * multiplierPpm, unitsPerRate * unitMultiplierPpm));
}

/**
 * How many output tokens `available` pays for beside `input` tokens and the request itself;
 * null where output costs nothing, negative where not even the input is covered.
 */
export function affordableOutput(
  available: NanoUsd,
  input: number,
  rates: HoldRates,
  multiplierPpm: bigint,
): number | null {
  const fixed = BigInt(input) * rates.input + rates.fixed;
  const funds = available * unitsPerRate * unitMultiplierPpm - fixed * multiplierPpm;
  if (funds < 0n) return -1;
  const perToken = rates.output * multiplierPpm;
  if (perToken === 0n) return null;
  const tokens = funds / perToken;
  return tokens > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(tokens);
}

/**
 * The same prices; of the classes named here, one that has no standard rate gets that of another list, so
 * that it is neither given away nor charged as its sibling.
 */
export function withMissingRates(
  prices: PriceList,
  other: PriceList | undefined,
  classes: readonly UsageClass[],
): PriceList {
  if (other === undefined) return prices;
  const added = classes.flatMap((usageClass) => {
    const rate = other.rates[usageClass];
    return rate === undefined || prices.rates[usageClass] !== undefined ? [] : [[usageClass, rate]];
  });
  return added.length === 0
    ? prices
    : { ...prices, rates: { ...prices.rates, ...Object.fromEntries(added) } };
}

/** The card in force at `nowMs`: of those that have begun, the one that began last. */
export function rateCardAt(cards: readonly RateCard[], nowMs: number): RateCard | undefined {
  let current: RateCard | undefined;
  for (const card of cards) {
    if (card.effectiveFromMs > nowMs) continue;
    if (current === undefined || card.effectiveFromMs >= current.effectiveFromMs) current = card;
  }
  return current;
}
