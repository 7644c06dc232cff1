import type { NanoUsd } from '../../domain/money.ts';

const nanoPerUnit = 1e9;

/** Units of the currency, as near as a double comes: for graphs, never for a bill. */
export function unitsOf(amount: NanoUsd): number {
  return Number(amount) / nanoPerUnit;
}
