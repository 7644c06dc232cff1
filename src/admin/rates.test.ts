import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Rate } from '../domain/money.ts';
import { inputClasses, outputClasses, unitClasses } from '../domain/usage.ts';
import { rates, ratesJson } from './rates.ts';

const tokens = { input_per_1m: '1', output_per_1m: '2' };

function refusalOf(given: unknown): string {
  const [issue] = rates.safeParse(given).error?.issues ?? [];
  return `${issue?.path.join('.')}: ${issue?.message}`;
}

describe('rates', () => {
  test('a price per 1k and the same price per 1m are one rate', () => {
    expect(rates.parse({ input_per_1k: '0.0025', output_per_1k: '0.01' })).toEqual(
      rates.parse({ input_per_1m: '2.5', output_per_1m: '10' }),
    );
  });

  test('every class of tokens has a price of its own in both units', () => {
    for (const usageClass of [...inputClasses, ...outputClasses]) {
      expect(rates.parse({ ...tokens, [`${usageClass}_per_1m`]: '3' }).rates[usageClass]).toBe(
        3_000_000_000n,
      );
      const { [`${usageClass}_per_1m`]: _, ...others } = tokens as Record<string, string>;
      expect(rates.parse({ ...others, [`${usageClass}_per_1k`]: '3' }).rates[usageClass]).toBe(
        3_000_000_000_000n,
      );
    }
  });

  test('both units of one class at once are refused', () => {
    expect(refusalOf({ ...tokens, input_per_1k: '1' })).toMatch(/^input_per_1k: has a price per 1m as well/);
    expect(refusalOf({ ...tokens, cache_read_per_1m: '1', cache_read_per_1k: '0.001' })).toMatch(
      /one of the two/,
    );
  });

  test.each([
    ['nothing', {}, /^input_per_1m: is required/],
    ['input without output', { input_per_1m: '1' }, /^output_per_1m: is required/],
    ['output without input', { output_per_1k: '1' }, /^input_per_1m: is required/],
    [
      'a request and half of the tokens',
      { per_request: '1', input_per_1m: '1' },
      /^output_per_1m: is required/,
    ],
    ['a request and cache alone', { per_request: '1', cache_read_per_1m: '1' }, /^input_per_1m: is required/],
    ['a negative price', { ...tokens, per_request: '-1' }, /^per_request: .*negative/],
    ['a price that is too fine', { ...tokens, input_per_1m: '0.0000000001' }, /^input_per_1m: .*9 decimals/],
    ['a price that is too large', { ...tokens, per_image: '100000000000' }, /^per_image: .*too large/],
    ['a number', { ...tokens, per_request: 1 }, /^per_request: .*quotes/],
  ])('%s is refused', (_, given, words) => {
    expect(refusalOf(given)).toMatch(words);
  });

  test.each([
    ['tokens', tokens],
    ['free tokens', { input_per_1m: '0', output_per_1m: '0' }],
    ['a request', { per_request: '0.01' }],
    ['an image', { per_image: '0.04' }],
  ])('%s alone is a price', (_, given) => {
    expect(rates.safeParse(given).success).toBe(true);
  });

  test('what is written is read back exactly, whatever the rates', () => {
    const classes = [...inputClasses, ...outputClasses, ...unitClasses];
    const rate = fc.bigInt({ min: 0n, max: 10n ** 26n - 1n }).map((value) => value as Rate);
    const shape = Object.fromEntries(classes.map((usageClass) => [usageClass, rate]));
    fc.assert(
      fc.property(fc.record(shape, { requiredKeys: ['input', 'output'] }), (given) => {
        expect(rates.parse(ratesJson({ rates: given }))).toEqual({ rates: given });
      }),
    );
  });
});
