import fc from 'fast-check';
import { expect, it } from 'vitest';
import { charge } from './charge.ts';
import type { Rate } from './money.ts';
import type { PriceList, Rates, RateTier } from './pricing.ts';
import { decodeReceipt, encodeReceipt, receiptAmount, receiptOf } from './receipt.ts';
import type { Usage } from './usage.ts';

// Charges against an oracle that shares no code with them: fractions of bigints, compared without a division.

const pairs = 100_000;

const classes = [
  'input',
  'cache_read',
  'cache_write_5m',
  'cache_write_1h',
  'input_audio',
  'cache_read_audio',
  'output',
  'reasoning',
  'output_audio',
  'output_image',
  'requests',
  'web_search',
  'image',
];
const promptClasses = classes.slice(0, 6);

/** A class and what it is charged as, in order, where it has no price. */
const candidates: Readonly<Record<string, readonly string[]>> = {
  cache_read: ['cache_read', 'input'],
  cache_write_5m: ['cache_write_5m', 'input'],
  cache_write_1h: ['cache_write_1h', 'cache_write_5m', 'input'],
  input_audio: ['input_audio', 'input'],
  cache_read_audio: ['cache_read_audio', 'cache_read', 'input'],
  reasoning: ['reasoning', 'output'],
  output_audio: ['output_audio', 'output'],
  output_image: ['output_image', 'output'],
};

function oracleRate(
  prices: PriceList,
  usageClass: string,
  prompt: number,
  serviceTier: string | null,
): bigint {
  const special = serviceTier === null ? undefined : prices.serviceTiers?.[serviceTier];
  const tierOf = (tiers: readonly RateTier[] = []) =>
    tiers.filter(({ aboveInputTokens }) => prompt > aboveInputTokens).at(-1)?.rates;
  for (const name of candidates[usageClass] ?? [usageClass]) {
    for (const rates of [tierOf(special?.tiers), special?.rates, tierOf(prices.tiers), prices.rates]) {
      if (rates?.[name] !== undefined) return rates[name];
    }
  }
  return 0n;
}

/** The charge times 10^12, exactly. */
function oracle(usage: Usage, prices: PriceList, serviceTier: string | null, multiplierPpm: bigint): bigint {
  const prompt = promptClasses.reduce((sum, name) => sum + (usage[name] ?? 0), 0);
  return classes.reduce(
    (sum, name) =>
      sum + BigInt(usage[name] ?? 0) * oracleRate(prices, name, prompt, serviceTier) * multiplierPpm,
    0n,
  );
}

/** Small counts and rates make halves; large ones cross 2^53 and n × 1e8. */
const count = fc.oneof(
  fc.integer({ min: 0, max: 10 }).map((tens) => tens * 50_000),
  fc.integer({ min: 0, max: 2_000_000 }),
  fc.integer({ min: 0, max: 20 }).map((times) => times * 100_000_000),
  fc.constantFrom(1, 2 ** 31, 2 ** 53 - 1),
);
const rate = fc
  .oneof(
    fc.integer({ min: 0, max: 100 }),
    fc.integer({ min: 0, max: 2 ** 31 - 1 }).map((value) => value * 4096 + 1),
  )
  .map((value) => BigInt(value) as Rate);
const only = <T>(value: fc.Arbitrary<T>, names: readonly string[]) =>
  fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 5 });
const rates: fc.Arbitrary<Rates> = only(rate, classes);
const tier: fc.Arbitrary<RateTier> = fc.record({
  aboveInputTokens: fc.integer({ min: 0, max: 300_000 }),
  rates,
});
const tiers = fc
  .array(tier, { maxLength: 2 })
  .map((unordered) => unordered.toSorted((a, b) => a.aboveInputTokens - b.aboveInputTokens));
const tiered = fc.record({ rates, tiers });
const prices = fc
  .tuple(tiered, only(tiered, ['flex', 'priority']))
  .map(([standard, serviceTiers]): PriceList => ({ ...standard, serviceTiers }));

it(`equals a fraction of exact bigints for ${pairs} pairs of usage and rate card, and so does the stored receipt`, () => {
  let halves = 0;
  fc.assert(
    fc.property(
      only(count, classes),
      prices,
      fc.constantFrom(null, 'flex', 'priority', 'scale'),
      fc.oneof(fc.constant(1_000_000), fc.integer({ min: 0, max: 10_000_000 })).map(BigInt),
      (usage, list, serviceTier, multiplier) => {
        const charged = charge({ usage, serviceTier }, list, multiplier);
        const { amount } = charged;
        const doubleDistance = 2n * (oracle(usage, list, serviceTier, multiplier) - amount * 10n ** 12n);
        const magnitude = doubleDistance < 0n ? -doubleDistance : doubleDistance;
        if (magnitude > 10n ** 12n) throw new Error(`not the nearest amount: ${amount}`);
        if (magnitude === 10n ** 12n) {
          halves++;
          if (amount % 2n !== 0n) throw new Error(`a half was not rounded to even: ${amount}`);
        }
        const stored = JSON.stringify(
          encodeReceipt(receiptOf(charged, { statedCost: null, reported: null })),
        );
        const recomputed = receiptAmount(decodeReceipt(JSON.parse(stored)), multiplier);
        if (recomputed !== amount)
          throw new Error(`the receipt comes to ${recomputed}, the charge is ${amount}`);
      },
    ),
    { numRuns: pairs },
  );
  // Rounding itself was tested, not only sums without a remainder.
  expect(halves).toBeGreaterThan(10);
});
