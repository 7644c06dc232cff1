import type { Rate } from '../domain/money.ts';
import type { UsageClass } from '../domain/usage.ts';

/** Rates while they are being read. */
export type Rated = Partial<Record<UsageClass, Rate>>;

/**
 * Adds what a Claude model's writes to the one-hour cache cost, where a source prices writes and leaves
 * these out; charged as five-minute writes they would cost 1.25 times the input in place of twice.
 * Anthropic: "1-hour cache write tokens are 2 times the base input tokens price" (its page on prompt
 * caching); those who resell the models charge the same.
 * @returns whether anything was added
 */
export function addHourWrites(modelName: string, rates: Rated): boolean {
  const { input, cache_write_5m: writes, cache_write_1h: hourWrites } = rates;
  const isMissing = input !== undefined && writes !== undefined && hourWrites === undefined;
  // Writes that are free are no writes at the published multiples of the input.
  if (!isMissing || writes <= input || !modelName.includes('claude')) return false;
  rates.cache_write_1h = (input * 2n) as Rate;
  return true;
}
