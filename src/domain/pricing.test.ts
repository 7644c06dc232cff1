import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { charge } from './charge.ts';
import { formatAmount, nano, parseAmount, parseRate, type Rate } from './money.ts';
import {
  affordableOutput,
  type Expected,
  holdRates,
  type PriceList,
  type Rates,
  rateCardAt,
  selectRates,
  unitMultiplierPpm,
  worstCharge,
} from './pricing.ts';
import { inputTokens, outputTokens } from './usage.ts';

const small: Rates = { input: parseRate('0.001', 1_000), output: parseRate('0.002', 1_000) };
const perMillion = (text: string) => parseRate(text, 1_000_000);

const expecting = (inputTokens: number, changes: Partial<Expected> = {}): Expected => ({
  inputTokens,
  units: {},
  serviceTier: null,
  ...changes,
});

const list: PriceList = {
  rates: { input: perMillion('1'), cache_read: perMillion('0.1'), output: perMillion('10') },
  tiers: [
    { aboveInputTokens: 200_000, rates: { input: perMillion('2'), output: perMillion('15') } },
    { aboveInputTokens: 500_000, rates: { input: perMillion('4') } },
  ],
  serviceTiers: {
    flex: { rates: { input: perMillion('0.5'), output: perMillion('5') } },
    priority: {
      rates: { input: perMillion('3'), output: perMillion('30') },
      tiers: [{ aboveInputTokens: 200_000, rates: { input: perMillion('6') } }],
    },
  },
};

describe('the rates of a price list', () => {
  it.each([
    ['a prompt up to the bound', 200_000, null, { input: '1', output: '10', above: null }],
    ['a prompt one token above it', 200_001, null, { input: '2', output: '15', above: 200_000 }],
    ['a prompt above the second', 500_001, null, { input: '4', output: '10', above: 500_000 }],
    ['the flex tier', 1, 'flex', { input: '0.5', output: '5', above: null }],
    ['the priority tier', 1, 'priority', { input: '3', output: '30', above: null }],
    ['a long prompt at priority', 200_001, 'PRIORITY', { input: '6', output: '30', above: 200_000 }],
    ['a tier that is the standard one', 1, 'on_demand', { input: '1', output: '10', above: null }],
  ])('for %s', (_, length, serviceTier, { input, output, above }) => {
    const selected = selectRates(list, length, serviceTier);
    expect(selected.rates).toEqual({
      input: perMillion(input),
      output: perMillion(output),
      cache_read: perMillion('0.1'),
    });
    expect(selected).toMatchObject({ aboveInputTokens: above, serviceTierIsPriced: true });
  });

  it('for a service tier without prices are the standard ones, and that is said', () => {
    expect(selectRates(list, 1, 'scale')).toMatchObject({
      rates: list.rates,
      serviceTier: 'scale',
      serviceTierIsPriced: false,
    });
  });

  it('for two tiers at once are those of one of them, where both together have none, and that is said', () => {
    for (const tier of ['flex_us', 'us_flex']) {
      expect(selectRates(list, 1, tier)).toMatchObject({
        rates: { input: perMillion('0.5') },
        serviceTier: tier,
        serviceTierIsPriced: false,
      });
    }
  });

  it('are not those of what every object has', () => {
    for (const tier of ['constructor', '__proto__', 'tostring']) {
      expect(selectRates(list, 1, tier)).toMatchObject({ rates: list.rates, serviceTierIsPriced: false });
    }
  });

  it('are chosen by the prompt with all that was read from a cache', () => {
    const { lines, aboveInputTokens } = charge(
      { usage: { input: 1, cache_read: 200_000, output: 1 } },
      list,
      unitMultiplierPpm,
    );
    expect(aboveInputTokens).toBe(200_000);
    expect(lines.map(({ rate }) => rate)).toEqual([perMillion('2'), perMillion('0.1'), perMillion('15')]);
  });
});

describe('a hold', () => {
  it('covers the charge of any usage that stays within it, at any length and service tier', () => {
    const rate = fc.bigInt({ min: 0n, max: 10n ** 12n }).map((value) => value as Rate);
    const count = fc.integer({ min: 0, max: 10 ** 6 });
    const rates = fc.record(
      { input: rate, cache_read: rate, cache_write_5m: rate, output: rate, reasoning: rate, requests: rate },
      { requiredKeys: [] },
    );
    const tiers = fc
      .uniqueArray(fc.record({ aboveInputTokens: count, rates }), {
        selector: (tier) => tier.aboveInputTokens,
        maxLength: 3,
      })
      .map((unordered) => unordered.toSorted((a, b) => a.aboveInputTokens - b.aboveInputTokens));
    const tiered = fc.record({ rates, tiers }, { requiredKeys: ['rates'] });
    const prices = fc
      .tuple(tiered, fc.dictionary(fc.constantFrom('flex', 'priority'), tiered))
      .map(([standard, serviceTiers]): PriceList => ({ ...standard, serviceTiers }));
    const usage = fc.record({
      input: count,
      cache_read: count,
      cache_write_5m: count,
      output: count,
      reasoning: count,
      requests: fc.constant(1),
    });
    const tier = fc.constantFrom(null, 'flex', 'priority', 'other');
    fc.assert(
      fc.property(prices, usage, tier, fc.boolean(), (given, used, asked, served) => {
        const tokens = inputTokens(used);
        const bounds = holdRates([given], expecting(tokens, { serviceTier: asked }));
        const hold = worstCharge(tokens, outputTokens(used), bounds, unitMultiplierPpm);
        const serviceTier = served ? asked : null;
        const { amount } = charge({ usage: used, serviceTier }, given, unitMultiplierPpm);
        expect(amount <= hold).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is taken at the tier above where the estimate is just below its bound', () => {
    expect(holdRates([list], expecting(150_000)).input).toBe(perMillion('1'));
    expect(holdRates([list], expecting(195_000)).input).toBe(perMillion('2'));
  });

  it('is at the dearest of the models that the provider may use besides', () => {
    const other = { rates: { input: perMillion('0.1'), output: perMillion('50') } };
    expect(holdRates([list, other], expecting(100))).toMatchObject({
      input: perMillion('1'),
      output: perMillion('50'),
    });
  });

  it('covers the units that a request may come to', () => {
    const prices = { rates: { ...small, web_search: parseRate('0.01', 1) } };
    const bounds = holdRates([prices], expecting(0, { units: { web_search: 5, file_search: 2 } }));
    expect(formatAmount(worstCharge(0, 0, bounds, unitMultiplierPpm))).toBe('0.05');
  });

  it('affords exactly the output that its inverse says', () => {
    const rates = holdRates([{ rates: small }], expecting(100));
    const available = parseAmount('0.01');
    const output = affordableOutput(available, 100, rates, unitMultiplierPpm)!;
    expect(output).toBe(4950);
    expect(worstCharge(100, output, rates, unitMultiplierPpm) <= available).toBe(true);
    expect(worstCharge(100, output + 1, rates, unitMultiplierPpm) > available).toBe(true);
    expect(affordableOutput(nano(0n), 100, rates, unitMultiplierPpm)).toBe(-1);
    const free = holdRates([{ rates: { input: 1n as Rate } }], expecting(100));
    expect(affordableOutput(available, 100, free, unitMultiplierPpm)).toBeNull();
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
