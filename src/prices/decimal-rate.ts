import { divideHalfEven, type Rate } from '../domain/money.ts';

/**
 * So many significant digits of a published decimal are taken for meant. Published prices have eleven at
 * most; what a float adds to them begins with the sixteenth (2.9999900000000002e-06 is 2.99999e-06).
 */
export const meantDigits = 12;

/** Nano per 1,000,000 units are 1e-15 of the currency's unit per one. */
const rateExponent = 15;

/** As `parseRate` has it: an amount below 1e11 per single unit. */
const rateLimit = 10n ** 26n;

const decimalPattern = /^(-?)(\d{1,64})(?:\.(\d{1,64}))?(?:[eE]([+-]?\d{1,3}))?$/;

export interface DecimalRate {
  readonly rate: Rate;
  /** Whether digits were dropped: those behind the meant ones, and what is finer than a rate can be. */
  readonly rounded: boolean;
}

/** Half to even at the last digit that stays. */
function dropDigits(digits: bigint, count: number): { readonly kept: bigint; readonly inexact: boolean } {
  if (count <= 0) return { kept: digits, inexact: false };
  const unit = 10n ** BigInt(count);
  return { kept: divideHalfEven(digits, unit), inexact: digits % unit !== 0n };
}

/**
 * Reads a decimal as JSON writes numbers, for instance "1.25e-06", as the price of `perUnits` units in
 * the currency's unit. No floating point is involved.
 * @returns null for what is no decimal, is negative, or is too large a price
 */
export function decimalRate(text: string, perUnits: 1 | 1_000 | 1_000_000): DecimalRate | null {
  const match = decimalPattern.exec(text);
  if (match === null) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const digits = BigInt(`${whole}${fraction}`);
  if (digits === 0n) return { rate: 0n as Rate, rounded: false };
  if (sign === '-') return null;
  const noise = digits.toString().length - meantDigits;
  const meant = dropDigits(digits, noise);
  const perUnitDigits = { 1: 0, 1000: 3, 1000000: 6 }[perUnits];
  const scale = Number(exponent) - fraction.length + Math.max(0, noise) + rateExponent - perUnitDigits;
  // Beyond these bounds it is zero or too large whatever its digits are, and powers stay small.
  if (scale > 60 || scale < -200) return scale > 0 ? null : { rate: 0n as Rate, rounded: true };
  const scaled =
    scale >= 0 ? { kept: meant.kept * 10n ** BigInt(scale), inexact: false } : dropDigits(meant.kept, -scale);
  if (scaled.kept >= rateLimit) return null;
  return { rate: scaled.kept as Rate, rounded: meant.inexact || scaled.inexact };
}
