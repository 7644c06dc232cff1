import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAmount, nano, parseAmount, parseRate, type Rate } from './money.ts';
import {
  affordableOutput,
  charge,
  holdRates,
  type Rates,
  rateCardAt,
  unitMultiplierPpm,
  worstCharge,
} from './pricing.ts';
import { inputTokens, outputTokens, type Usage } from './usage.ts';

const small: Rates = { input: parseRate('0.001', 1_000), output: parseRate('0.002', 1_000) };

describe('a charge', () => {
  it('of 100 input and 200 output tokens at 0.001 and 0.002 per 1k is 0.0005', () => {
    const { amount, fallbacks } = charge({ input: 100, output: 200 }, small, unitMultiplierPpm);
    expect(formatAmount(amount)).toBe('0.0005');
    expect(fallbacks).toEqual([]);
  });

  it('is divided once, half to even, over all classes together', () => {
    const rates: Rates = { input: 1n as Rate, output: 1n as Rate };
    const at = (input: number, output: number) => charge({ input, output }, rates, unitMultiplierPpm).amount;
    expect(at(250_000, 250_000)).toBe(0n);
    expect(at(250_000, 250_001)).toBe(1n);
    expect(at(750_000, 750_000)).toBe(2n);
  });

  it("takes the tenant's multiplier in parts per million", () => {
    expect(formatAmount(charge({ input: 1_000_000 }, small, 1_250_000n).amount)).toBe('1.25');
    expect(formatAmount(charge({ input: 1_000_000 }, small, 0n).amount)).toBe('0');
  });

  it('adds the price of the request itself', () => {
    const rates: Rates = { requests: parseRate('0.01', 1) };
    expect(formatAmount(charge({ requests: 1 }, rates, unitMultiplierPpm).amount)).toBe('0.01');
  });

  it('charges a class without a price as its plain sibling, and says so', () => {
    const usage: Usage = { cache_read: 10, reasoning: 20, cache_write_1h: 5, requests: 1 };
    const { amount, fallbacks } = charge(usage, small, unitMultiplierPpm);
    expect(amount).toBe(charge({ input: 15, output: 20 }, small, unitMultiplierPpm).amount);
    expect(fallbacks).toEqual([
      { usageClass: 'cache_read', chargedAs: 'input' },
      { usageClass: 'reasoning', chargedAs: 'output' },
      { usageClass: 'cache_write_1h', chargedAs: 'input' },
    ]);
  });

  it('marks a class that nothing fits', () => {
    expect(charge({ web_search: 3 }, small, unitMultiplierPpm)).toEqual({
      amount: 0n,
      fallbacks: [{ usageClass: 'web_search', chargedAs: null }],
    });
  });

  it('equals a fraction of exact bigints for any usage and any rates', () => {
    const classes = ['input', 'cache_read', 'cache_write_5m', 'output', 'reasoning', 'requests'] as const;
    const counts = fc.record(Object.fromEntries(classes.map((name) => [name, fc.maxSafeNat()])));
    const prices = fc.record(
      Object.fromEntries(classes.map((name) => [name, fc.bigInt({ min: 0n, max: 10n ** 15n })])),
    );
    fc.assert(
      fc.property(counts, prices, fc.bigInt({ min: 0n, max: 10n ** 7n }), (usage, rates, multiplier) => {
        // The exact value is exact / 10^12; the charge is the nearest integer, the even one of two.
        let exact = 0n;
        for (const name of classes) exact += BigInt(usage[name]!) * rates[name]! * multiplier;
        const { amount } = charge(usage, rates as Rates, multiplier);
        const doubleDistance = 2n * (exact - amount * 10n ** 12n);
        const magnitude = doubleDistance < 0n ? -doubleDistance : doubleDistance;
        expect(magnitude <= 10n ** 12n).toBe(true);
        if (magnitude === 10n ** 12n) expect(amount % 2n).toBe(0n);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a hold', () => {
  it('covers the charge of any usage that stays within it', () => {
    const rate = fc.bigInt({ min: 0n, max: 10n ** 12n });
    const count = fc.integer({ min: 0, max: 10 ** 6 });
    fc.assert(
      fc.property(
        fc.record({ input: rate, cache_read: rate, cache_write_5m: rate, output: rate, reasoning: rate }),
        fc.record({
          input: count,
          cache_read: count,
          cache_write_5m: count,
          output: count,
          reasoning: count,
        }),
        (rates, usage) => {
          const hold = worstCharge(
            inputTokens(usage),
            outputTokens(usage),
            holdRates(rates as Rates),
            unitMultiplierPpm,
          );
          expect(charge(usage, rates as Rates, unitMultiplierPpm).amount <= hold).toBe(true);
        },
      ),
    );
  });

  it('affords exactly the output that its inverse says', () => {
    const rates = holdRates(small);
    const available = parseAmount('0.01');
    const output = affordableOutput(available, 100, rates, unitMultiplierPpm)!;
    expect(output).toBe(4950);
    expect(worstCharge(100, output, rates, unitMultiplierPpm) <= available).toBe(true);
    expect(worstCharge(100, output + 1, rates, unitMultiplierPpm) > available).toBe(true);
    expect(affordableOutput(nano(0n), 100, rates, unitMultiplierPpm)).toBe(-1);
    expect(affordableOutput(available, 100, holdRates({ input: 1n as Rate }), unitMultiplierPpm)).toBeNull();
  });
});

describe('the rate card in force', () => {
  const cards = [300, 100, 200].map((effectiveFromMs) => ({ effectiveFromMs, rates: small }));

  it('is the last one that has begun', () => {
    expect(rateCardAt(cards, 99)).toBeUndefined();
    expect(rateCardAt(cards, 100)?.effectiveFromMs).toBe(100);
    expect(rateCardAt(cards, 299)?.effectiveFromMs).toBe(200);
    expect(rateCardAt(cards, 10_000)?.effectiveFromMs).toBe(300);
  });
});
