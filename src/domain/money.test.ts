import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  divideHalfEven,
  divideUp,
  formatAmount,
  formatRate,
  MoneyFormatError,
  nano,
  parseAmount,
  parseRate,
} from './money.ts';

const amounts = fc.bigInt({ min: -(10n ** 20n) + 1n, max: 10n ** 20n - 1n });

describe('an amount', () => {
  it.each([
    ['99.999500000', 99_999_500_000n, '99.9995'],
    ['0.000000001', 1n, '0.000000001'],
    ['-0.5', -500_000_000n, '-0.5'],
    ['10', 10_000_000_000n, '10'],
    ['0.10000000000000', 100_000_000n, '0.1'],
    ['9007199.254740993', 2n ** 53n + 1n, '9007199.254740993'],
    ['99999999999.999999999', 10n ** 20n - 1n, '99999999999.999999999'],
    ['-0', 0n, '0'],
  ])('%s is read exactly and written without trailing zeros', (text, value, written) => {
    expect(parseAmount(text)).toBe(value);
    expect(formatAmount(parseAmount(text))).toBe(written);
  });

  it.each([
    '',
    ' 1',
    '1 ',
    '1e3',
    '.5',
    '5.',
    '+1',
    '1,5',
    '0x1',
    'NaN',
    '1.0000000001',
    '100000000000',
    '--1',
    '１',
  ])('"%s" is refused', (text) => {
    expect(() => parseAmount(text)).toThrow(MoneyFormatError);
  });

  it('survives writing and reading, whatever it is', () => {
    fc.assert(
      fc.property(amounts, (amount) => {
        expect(parseAmount(formatAmount(nano(amount)))).toBe(amount);
      }),
    );
  });
});

describe('a rate', () => {
  it('is the same however its price is quoted', () => {
    expect(parseRate('0.001', 1_000)).toBe(1_000_000_000n);
    expect(parseRate('1', 1_000_000)).toBe(1_000_000_000n);
    expect(parseRate('0.000001', 1)).toBe(1_000_000_000n);
    expect(formatRate(parseRate('0.0375', 1_000_000))).toBe('0.0375');
  });

  it.each(['-1', '0.0000000001', 'free'])('"%s" is refused', (text) => {
    expect(() => parseRate(text, 1_000_000)).toThrow(MoneyFormatError);
  });
});

describe('division', () => {
  it.each([
    [5n, 10n, 0n],
    [15n, 10n, 2n],
    [25n, 10n, 2n],
    [26n, 10n, 3n],
    [-5n, 10n, 0n],
    [-15n, 10n, -2n],
    [-26n, 10n, -3n],
  ])('%d / %d is %d, half to even', (numerator, denominator, quotient) => {
    expect(divideHalfEven(numerator, denominator)).toBe(quotient);
  });

  it('is never off by more than a half, and exact where it can be', () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.bigInt({ min: 1n, max: 10n ** 12n }), (numerator, denominator) => {
        const difference = 2n * (numerator - divideHalfEven(numerator, denominator) * denominator);
        expect(difference <= denominator && difference >= -denominator).toBe(true);
        expect(divideHalfEven(numerator * denominator, denominator)).toBe(numerator);
      }),
    );
  });

  it('rounds a hold up', () => {
    expect([divideUp(0n, 10n), divideUp(1n, 10n), divideUp(10n, 10n), divideUp(11n, 10n)]).toEqual([
      0n,
      1n,
      1n,
      2n,
    ]);
  });
});
