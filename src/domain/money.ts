declare const nanoUsd: unique symbol;
declare const rate: unique symbol;

/** An amount of money. Unit: 1 = 1e-9 of the currency's unit. Never a float. */
export type NanoUsd = bigint & { readonly [nanoUsd]: true };

/** A price. Unit: nano (1e-9 of the currency's unit) per 1,000,000 units of a usage class. */
export type Rate = bigint & { readonly [rate]: true };

const nanoDigits = 9;

/** `NUMERIC(20,9)` holds eleven digits before the point; anything larger is refused at the edge. */
const amountLimit = 10n ** 20n;

export const zeroNano = 0n as NanoUsd;

export function nano(value: bigint): NanoUsd {
  return value as NanoUsd;
}

/** A decimal string that is not an exact amount: malformed, too fine (beyond 9 decimals), or too large. */
export class MoneyFormatError extends Error {
  override readonly name = 'MoneyFormatError';
}

const decimalPattern = /^(-?)(\d{1,40})(?:\.(\d{1,40}))?$/;

/** Reads a plain decimal string as an integer scaled by 10^`digits`; excess zeros are fine, excess digits are not. */
function parseScaled(text: string, digits: number): bigint {
  const match = decimalPattern.exec(text);
  if (match === null) throw new MoneyFormatError(`"${text}" is not a decimal number`);
  const [, sign, whole, fraction = ''] = match;
  const kept = fraction.slice(0, digits).padEnd(digits, '0');
  if (/[1-9]/.test(fraction.slice(digits))) {
    throw new MoneyFormatError(`"${text}" has more than ${digits} decimals`);
  }
  const magnitude = BigInt(`${whole}${kept}`);
  return sign === '-' ? -magnitude : magnitude;
}

/**
 * Reads an amount in the currency's unit, for instance "99.9995", as nano.
 * @throws MoneyFormatError when it isn't an exact amount below 1e11.
 */
export function parseAmount(text: string): NanoUsd {
  const amount = parseScaled(text, nanoDigits);
  if (amount >= amountLimit || amount <= -amountLimit) {
    throw new MoneyFormatError(`"${text}" is too large an amount`);
  }
  return amount as NanoUsd;
}

/** Writes an integer that counts 10^-`decimals` as a decimal string without trailing zeros. */
export function formatScaled(value: bigint, decimals: number): string {
  const magnitude = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0');
  const fraction = magnitude.slice(-decimals).replace(/0+$/, '');
  return `${value < 0n ? '-' : ''}${magnitude.slice(0, -decimals)}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Writes nano as a decimal string in the currency's unit, without trailing zeros: "99.9995", "0", "-0.5". */
export function formatAmount(amount: NanoUsd): string {
  return formatScaled(amount, nanoDigits);
}

/**
 * A JSON number as an amount, to the nearest nano, half to even: what a provider says that it charged.
 * Its shortest decimal form is the one that was sent.
 * @param unitDigits decimals of the number's unit below the currency's: 0 for dollars, 10 for xAI's ticks
 * @returns null for what is no finite number, negative, or too large an amount
 */
export function nearestAmount(value: unknown, unitDigits = 0): NanoUsd | null {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) return null;
  const match = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value));
  if (match === null) return null;
  const [, whole, fraction = '', exponent = '0'] = match;
  const digits = BigInt(`${whole}${fraction}`);
  const scale = nanoDigits - unitDigits - fraction.length + Number(exponent);
  const amount = scale >= 0 ? digits * 10n ** BigInt(scale) : divideHalfEven(digits, 10n ** BigInt(-scale));
  return amount < amountLimit ? nano(amount) : null;
}

/**
 * Reads a price in the currency's unit for `perUnits` units (1, 1,000 or 1,000,000) as a rate.
 * @throws MoneyFormatError when it is negative, malformed, or too fine to be exact.
 */
export function parseRate(text: string, perUnits: 1 | 1_000 | 1_000_000): Rate {
  const scale = { 1: 6, 1000: 3, 1000000: 0 }[perUnits];
  const perMillion = parseScaled(text, nanoDigits + scale);
  if (perMillion < 0n) throw new MoneyFormatError(`"${text}" is negative, a price can't be`);
  if (perMillion >= amountLimit * 1_000_000n) throw new MoneyFormatError(`"${text}" is too large a price`);
  return perMillion as Rate;
}

/** Writes a rate as a decimal string in the currency's unit per 1,000,000 units. */
export function formatRate(value: Rate): string {
  return formatAmount(value as bigint as NanoUsd);
}

/** Integer division with the exact half rounded to the even neighbour; the denominator is positive. */
export function divideHalfEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const remainder = numerator % denominator;
  const sign = numerator < 0n ? -1n : 1n;
  const twice = 2n * (remainder < 0n ? -remainder : remainder);
  if (twice < denominator) return quotient;
  if (twice > denominator) return quotient + sign;
  return quotient % 2n === 0n ? quotient : quotient + sign;
}

/** Integer division rounded up; both operands are non-negative and the denominator is positive. */
export function divideUp(numerator: bigint, denominator: bigint): bigint {
  return (numerator + denominator - 1n) / denominator;
}
