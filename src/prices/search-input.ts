import type { Rate } from '../domain/money.ts';
import type { Rated } from './hour-writes.ts';

/**
 * Adds that a Gemini model reads what its own search found for nothing, which no source says in numbers:
 * "retrieved context is not charged as input tokens" (Google, pricing of grounding with Google Search).
 * Without it those tokens would be charged as plain input.
 */
export function addFreeSearchInput(modelName: string, rates: Rated): void {
  if (!/(^|\/)gemini-/.test(modelName) || rates.input === undefined) return;
  rates.input_search ??= 0n as Rate;
}
