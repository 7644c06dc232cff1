import { expect } from 'vitest';
import type { AnyJson } from './admin-plane.ts';

/** A decimal string as an integer that counts 10^-`decimals`. */
function scaled(text: string, decimals: number): bigint {
  const [whole = '0', fraction = ''] = text.split('.');
  expect(fraction.length).toBeLessThanOrEqual(decimals);
  return BigInt(whole + fraction.padEnd(decimals, '0'));
}

/** Redoes the sum of a receipt by hand, with nothing but what a person is shown, and compares it with the amount. */
export function expectReceiptToExplain(transaction: AnyJson): void {
  const { receipt, amount, id, multiplier_ppm: multiplier, usage } = transaction;
  expect(receipt, id).not.toBeNull();
  // 24 decimals: rates have up to 15 a unit, per million units three fewer, and the multiplier six.
  const decimals = 24;
  const one = 10n ** BigInt(decimals);
  let sum = 0n;
  for (const { units, rate, per_units: perUnits } of receipt.lines) {
    if (rate !== null) sum += (BigInt(units) * scaled(rate, decimals)) / BigInt(perUnits);
  }
  const exact = (sum * BigInt(multiplier)) / 1_000_000n;
  const nano = one / 1_000_000_000n;
  const floor = exact / nano;
  const twice = 2n * (exact % nano);
  const rounded = twice > nano || (twice === nano && floor % 2n === 1n) ? floor + 1n : floor;
  expect(rounded, id).toBe(scaled(amount, 9));
  expect(receipt.is_transaction_amount, id).toBe(true);
  // Every class that was used is on the receipt, priced or not; a request without a price needs no line.
  const listed = new Map<string, number>();
  for (const { class: name, units } of receipt.lines) listed.set(name, (listed.get(name) ?? 0) + units);
  for (const [name, units] of Object.entries(usage as Record<string, number>)) {
    if (units > 0 && name !== 'requests') expect(listed.get(name), `${id} ${name}`).toBe(units);
  }
}
