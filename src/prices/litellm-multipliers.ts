import { divideHalfEven, type Rate } from '../domain/money.ts';
import { inputClasses, outputClasses, type UsageClass } from '../domain/usage.ts';
import { decimalRate } from './decimal-rate.ts';
import type { Rated } from './hour-writes.ts';
import { type Draft, type DraftRates, ratesAbove, serviceTierOf } from './litellm-draft.ts';

const tokenClasses: ReadonlySet<UsageClass> = new Set([...inputClasses, ...outputClasses]);

/** A factor as an integer over this. */
const factorScale = 10n ** 15n;

function factorOf(value: unknown): bigint | null {
  const read = typeof value === 'string' ? decimalRate(value, 1) : null;
  return read === null || read.rate === 0n ? null : read.rate;
}

function multiplied(rates: Rated, factor: bigint): Rated {
  return Object.fromEntries(
    Object.entries(rates).flatMap(([usageClass, rate]) =>
      rate === undefined || !tokenClasses.has(usageClass)
        ? []
        : [[usageClass, divideHalfEven(rate * factor, factorScale) as Rate]],
    ),
  );
}

function addTier(draft: Draft, name: string, factor: bigint): void {
  if (draft.serviceTiers.has(name)) return;
  const { base, byLength }: DraftRates = draft.standard;
  const tier = serviceTierOf(draft, name);
  Object.assign(tier.base, multiplied(base, factor));
  for (const [bound, rates] of byLength) Object.assign(ratesAbove(tier, bound), multiplied(rates, factor));
}

export const factorsMember = 'provider_specific_entry';

/** Whether the member has a factor that a tier can be made of. */
export function hasFactors(factors: unknown): boolean {
  return typeof factors === 'object' && factors !== null && ('fast' in factors || 'us' in factors);
}

/**
 * Adds the service tiers that the map has as factors of every token's price: Claude's fast mode, and
 * inference that stays in the United States; both together multiply.
 * @param factors the member of an entry, its numbers as text
 */
export function addMultipliedTiers(factors: unknown, draft: Draft): void {
  if (!hasFactors(factors)) return;
  const { fast, us } = factors as Readonly<Record<string, unknown>>;
  const [fastFactor, usFactor] = [factorOf(fast), factorOf(us)];
  if (fastFactor !== null) addTier(draft, 'fast', fastFactor);
  if (usFactor !== null) addTier(draft, 'us', usFactor);
  if (fastFactor !== null && usFactor !== null) {
    addTier(draft, 'fast_us', (fastFactor * usFactor) / factorScale);
  }
}
