import { divideHalfEven, type NanoUsd, nano, type Rate } from './money.ts';
import {
  findRate,
  type PriceList,
  type Rates,
  type Selection,
  selectRates,
  serviceTierName,
  unitMultiplierPpm,
  unitsPerRate,
} from './pricing.ts';
import { inputTokens, type ModelUsage, type Usage, type UsageClass } from './usage.ts';

/** A class that occurred without a price of its own: what it was charged as, or null where nothing fits. */
export interface RateFallback {
  readonly usageClass: UsageClass;
  readonly chargedAs: UsageClass | null;
}

/** One class of a charge: units times rate. */
export interface ChargeLine {
  readonly usageClass: UsageClass;
  readonly units: number;
  /** Nano per 1,000,000 units; null where no price fits, and nothing was charged. */
  readonly rate: Rate | null;
  /** The class whose rate it is: another one than `usageClass` where that has none. */
  readonly chargedAs: UsageClass | null;
  /** The model that used it, where it isn't the one that was asked for. */
  readonly model: string | null;
}

export interface Charge extends Omit<Selection, 'rates'> {
  readonly amount: NanoUsd;
  /** The rates of the model that was asked for, as they were selected. */
  readonly rates: Rates;
  readonly lines: readonly ChargeLine[];
  readonly fallbacks: readonly RateFallback[];
}

/** What is to be priced. */
export interface Used {
  readonly usage: Usage;
  /** What other models used, not part of `usage`; their prices, or null to take those of the model itself. */
  readonly otherModels?: readonly (ModelUsage & { readonly prices: PriceList | null })[];
  /** As upstream names it; null where it says nothing. */
  readonly serviceTier?: string | null;
  /** As the client asked for it: only where upstream says nothing, and never to make it cheaper. */
  readonly askedServiceTier?: string | null;
}

function linesOf(usage: Usage, rates: Rates, model: string | null): ChargeLine[] {
  return Object.entries(usage).flatMap(([usageClass, units]) => {
    if (units === undefined || units === 0) return [];
    const found = findRate(rates, usageClass);
    // A model without a price per request is the normal case, not a missing price.
    if (found === null && usageClass === 'requests') return [];
    return [{ usageClass, units, rate: found?.rate ?? null, chargedAs: found?.usageClass ?? null, model }];
  });
}

/**
 * The exact charge of lines: units times rates, summed, times the multiplier, divided once, half to even.
 * @param multiplierPpm the tenant's multiplier in parts per million
 */
export function amountOf(
  lines: readonly Pick<ChargeLine, 'units' | 'rate'>[],
  multiplierPpm: bigint,
): NanoUsd {
  let scaled = 0n;
  for (const { units, rate } of lines) scaled += BigInt(units) * (rate ?? 0n);
  return nano(divideHalfEven(scaled * multiplierPpm, unitsPerRate * unitMultiplierPpm));
}

/**
 * Prices what was used: at the rates for the length of its prompt and for what served it. Where upstream
 * doesn't say what did, it may have ignored what was asked for: the dearer of that and the standard tier is
 * charged, as the hold was.
 */
export function charge(used: Used, prices: PriceList, multiplierPpm: bigint): Charge {
  const { serviceTier = null, askedServiceTier = null } = used;
  const served = chargeAt(used, prices, multiplierPpm, serviceTier);
  if (serviceTier !== null || serviceTierName(askedServiceTier) === null) return served;
  const asked = chargeAt(used, prices, multiplierPpm, askedServiceTier);
  return asked.amount >= served.amount ? asked : served;
}

function chargeAt(used: Used, prices: PriceList, multiplierPpm: bigint, serviceTier: string | null): Charge {
  const selected = selectRates(prices, inputTokens(used.usage), serviceTier);
  const lines = linesOf(used.usage, selected.rates, null);
  for (const { model, usage, prices: own } of used.otherModels ?? []) {
    lines.push(...linesOf(usage, selectRates(own ?? prices, inputTokens(usage), serviceTier).rates, model));
  }
  const fallbacks = lines
    .filter(({ usageClass, chargedAs }) => chargedAs !== usageClass)
    .map(({ usageClass, chargedAs }) => ({ usageClass, chargedAs }));
  return { ...selected, amount: amountOf(lines, multiplierPpm), lines, fallbacks };
}
