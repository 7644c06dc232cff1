import { divideHalfEven, divideUp, type NanoUsd, nano, type Rate } from './money.ts';
import type { Usage, UsageClass } from './usage.ts';

/** Prices by usage class, in nano per 1,000,000 units. A class that is absent has no price of its own. */
export type Rates = Readonly<Partial<Record<UsageClass, Rate>>>;

/** The prices of a model from a moment on. */
export interface RateCard {
  readonly effectiveFromMs: number;
  readonly rates: Rates;
}

/** A class that occurred without a price of its own: what it was charged as, or null where nothing fits. */
export interface RateFallback {
  readonly usageClass: UsageClass;
  readonly chargedAs: UsageClass | null;
}

export interface Charge {
  readonly amount: NanoUsd;
  readonly fallbacks: readonly RateFallback[];
}

/** Parts per million: what a tenant pays of the listed price; 1,000,000 is the price itself. */
export const unitMultiplierPpm = 1_000_000n;

const unitsPerRate = 1_000_000n;

/** A class without a price is charged as its plain sibling, never silently as nothing. */
const fallbackClass: Readonly<Partial<Record<UsageClass, UsageClass>>> = {
  cache_read: 'input',
  cache_write_5m: 'input',
  cache_write_1h: 'cache_write_5m',
  input_audio: 'input',
  reasoning: 'output',
  output_audio: 'output',
};

interface FoundRate {
  readonly rate: Rate;
  readonly usageClass: UsageClass;
}

function findRate(rates: Rates, usageClass: UsageClass): FoundRate | null {
  let candidate: UsageClass | undefined = usageClass;
  while (candidate !== undefined) {
    const rate: Rate | undefined = rates[candidate];
    if (rate !== undefined) return { rate, usageClass: candidate };
    candidate = fallbackClass[candidate];
  }
  return null;
}

interface Sum {
  readonly scaled: bigint;
  readonly fallbacks: readonly RateFallback[];
}

function sumCharges(usage: Usage, rates: Rates): Sum {
  let scaled = 0n;
  const fallbacks: RateFallback[] = [];
  for (const [usageClass, count] of Object.entries(usage)) {
    if (count === undefined || count === 0) continue;
    const found = findRate(rates, usageClass);
    // A model without a price per request is the normal case, not a missing price.
    if (found === null && usageClass === 'requests') continue;
    if (found?.usageClass !== usageClass) {
      fallbacks.push({ usageClass, chargedAs: found?.usageClass ?? null });
    }
    if (found !== null) scaled += BigInt(count) * found.rate;
  }
  return { scaled, fallbacks };
}

/**
 * The exact charge: units times rates, summed over the classes, times the multiplier, divided once,
 * half to even.
 * @param multiplierPpm the tenant's multiplier in parts per million
 */
export function charge(usage: Usage, rates: Rates, multiplierPpm: bigint): Charge {
  const { scaled, fallbacks } = sumCharges(usage, rates);
  const amount = divideHalfEven(scaled * multiplierPpm, unitsPerRate * unitMultiplierPpm);
  return { amount: nano(amount), fallbacks };
}

/** The dearest rate among classes: a hold is placed before it is known which of them will occur. */
function dearestRate(rates: Rates, classes: readonly UsageClass[]): Rate {
  let dearest = 0n as Rate;
  for (const usageClass of classes) {
    const rate = findRate(rates, usageClass)?.rate;
    if (rate !== undefined && rate > dearest) dearest = rate;
  }
  return dearest;
}

/** What bounds the charge of a request that hasn't run: the dearest rates its tokens can have, audio included. */
export interface HoldRates {
  readonly input: Rate;
  readonly output: Rate;
  readonly perRequest: Rate;
}

export function holdRates(rates: Rates): HoldRates {
  return {
    input: dearestRate(rates, ['input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'input_audio']),
    output: dearestRate(rates, ['output', 'reasoning', 'output_audio']),
    perRequest: rates.requests ?? (0n as Rate),
  };
}

/** The charge of one request with so many tokens at the dearest rates, rounded up. */
export function worstCharge(input: number, output: number, rates: HoldRates, multiplierPpm: bigint): NanoUsd {
  const scaled = BigInt(input) * rates.input + BigInt(output) * rates.output + rates.perRequest;
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
  const fixed = BigInt(input) * rates.input + rates.perRequest;
  const funds = available * unitsPerRate * unitMultiplierPpm - fixed * multiplierPpm;
  if (funds < 0n) return -1;
  const perToken = rates.output * multiplierPpm;
  if (perToken === 0n) return null;
  const tokens = funds / perToken;
  return tokens > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(tokens);
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
