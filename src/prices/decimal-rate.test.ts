import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalRate } from './decimal-rate.ts';

describe('a published decimal', () => {
  it.each([
    ['1.25e-06', 1, 1_250_000_000n],
    ['0.00000125', 1, 1_250_000_000n],
    ['5.46875e-7', 1, 546_875_000n],
    ['1e-15', 1, 1n],
    ['2', 1, 2_000_000_000_000_000n],
    ['1.00000000001', 1, 1_000_000_000_010_000n],
    ['0.039', 1_000_000, 39_000_000n],
    ['10', 1_000, 10_000_000_000_000n],
    ['0', 1, 0n],
    ['-0.0', 1, 0n],
    ['0E-400', 1, 0n],
  ] as const)('%s per %i units is exact', (text, perUnits, rate) => {
    expect(decimalRate(text, perUnits)).toEqual({ rate, rounded: false });
  });

  it.each([
    ['2.9999900000000002e-06', 1, 2_999_990_000n],
    ['3.0001999999999996e-07', 1, 300_020_000n],
    ['0.18000000000000002', 1_000_000, 180_000_000n],
    ['0.08333333333333334', 1_000_000, 83_333_333n],
    ['10.000000000000002', 1, 10_000_000_000_000_000n],
    ['1.000000000001', 1, 1_000_000_000_000_000n],
    ['1.5e-15', 1, 2n],
    ['2.5e-15', 1, 2n],
    ['1e-300', 1, 0n],
  ] as const)('%s per %i units is rounded to what was meant, and that is said', (text, perUnits, rate) => {
    expect(decimalRate(text, perUnits)).toEqual({ rate, rounded: true });
  });

  it.each(['', 'free', '-1', '1e', '.5', '0x10', 'NaN', '1e11', '1e999', '9'.repeat(65), '1,5', ' 1'])(
    '"%s" is no price',
    (text) => {
      expect(decimalRate(text, 1)).toBeNull();
    },
  );

  it('means the same however it is written', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 10n ** 11n), fc.integer({ min: 0, max: 15 }), (digits, places) => {
        const padded = digits.toString().padStart(places + 1, '0');
        const plain = places === 0 ? padded : `${padded.slice(0, -places)}.${padded.slice(-places)}`;
        const rate = digits * 10n ** BigInt(15 - places);
        const expected = rate < 10n ** 26n ? { rate, rounded: false } : null;
        expect(decimalRate(plain, 1)).toEqual(expected);
        expect(decimalRate(`${digits}e-${places}`, 1)).toEqual(expected);
      }),
    );
  });
});
