import { describe, expect, it } from 'vitest';
import { charge as chargeUsed } from './charge.ts';
import { formatAmount, parseRate, type Rate } from './money.ts';
import { type Rates, unitMultiplierPpm } from './pricing.ts';
import type { Usage } from './usage.ts';

const small: Rates = { input: parseRate('0.001', 1_000), output: parseRate('0.002', 1_000) };

const charge = (usage: Usage, rates: Rates, multiplierPpm = unitMultiplierPpm) =>
  chargeUsed({ usage }, { rates }, multiplierPpm);

describe('a charge', () => {
  it('of 100 input and 200 output tokens at 0.001 and 0.002 per 1k is 0.0005', () => {
    const { amount, fallbacks } = charge({ input: 100, output: 200 }, small);
    expect(formatAmount(amount)).toBe('0.0005');
    expect(fallbacks).toEqual([]);
  });

  it('is divided once, half to even, over all classes together', () => {
    const rates: Rates = { input: 1n as Rate, output: 1n as Rate };
    const at = (input: number, output: number) => charge({ input, output }, rates).amount;
    expect(at(250_000, 250_000)).toBe(0n);
    expect(at(250_000, 250_001)).toBe(1n);
    expect(at(750_000, 750_000)).toBe(2n);
  });

  it("takes the tenant's multiplier in parts per million", () => {
    expect(formatAmount(charge({ input: 1_000_000 }, small, 1_250_000n).amount)).toBe('1.25');
    expect(formatAmount(charge({ input: 1_000_000 }, small, 0n).amount)).toBe('0');
  });

  it('adds the price of the request itself, and of each unit of a tool', () => {
    const rates: Rates = { requests: parseRate('0.01', 1), web_search: parseRate('0.0125', 1) };
    expect(formatAmount(charge({ requests: 1, web_search: 3 }, rates).amount)).toBe('0.0475');
  });

  it('charges a class without a price as its plain sibling, and says so', () => {
    const usage: Usage = {
      cache_read: 10,
      reasoning: 20,
      cache_write_1h: 5,
      cache_read_audio: 1,
      requests: 1,
    };
    const { amount, fallbacks } = charge(usage, small);
    expect(amount).toBe(charge({ input: 16, output: 20 }, small).amount);
    expect(fallbacks).toEqual([
      { usageClass: 'cache_read', chargedAs: 'input' },
      { usageClass: 'reasoning', chargedAs: 'output' },
      { usageClass: 'cache_write_1h', chargedAs: 'input' },
      { usageClass: 'cache_read_audio', chargedAs: 'input' },
    ]);
  });

  it('marks a class that nothing fits, and still lists it', () => {
    expect(charge({ web_search: 3 }, small)).toMatchObject({
      amount: 0n,
      lines: [{ usageClass: 'web_search', units: 3, rate: null, chargedAs: null }],
      fallbacks: [{ usageClass: 'web_search', chargedAs: null }],
    });
  });

  it('prices what another model used at that model’s price, and at the own one where it is not known', () => {
    const other = {
      model: 'judge',
      usage: { output: 1_000_000 },
      prices: { rates: { output: parseRate('7', 1_000_000) } },
    };
    const { amount, lines } = chargeUsed(
      { usage: { output: 1_000_000 }, otherModels: [other, { ...other, model: 'unknown', prices: null }] },
      { rates: small },
      unitMultiplierPpm,
    );
    expect(formatAmount(amount)).toBe('11');
    expect(lines.map(({ model }) => model)).toEqual([null, 'judge', 'unknown']);
  });
});
