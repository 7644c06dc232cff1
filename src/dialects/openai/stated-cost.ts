import { type NanoUsd, nano, nearestAmount } from '../../domain/money.ts';
import { asObject, type JsonObject } from '../json.ts';

/** xAI's ticks are 1e-10 dollars. */
const tickDigits = 10;

/**
 * What a provider says in its usage that it charges us: OpenRouter and Vercel as `cost` in dollars,
 * Perplexity as `cost.total_cost`, xAI as `cost_in_usd_ticks`. Null where it says nothing.
 */
export function statedCost(usage: JsonObject | null): NanoUsd | null {
  if (usage === null) return null;
  const { cost, cost_in_usd_ticks: ticks } = usage;
  const stated = nearestAmount(asObject(cost)?.total_cost ?? cost) ?? nearestAmount(ticks, tickDigits);
  return stated === null ? null : nano(stated + ownKeyCost(usage));
}

/** With a key of ours at OpenRouter, `cost` is its fee, and the provider behind it charges us beside it. */
function ownKeyCost(usage: JsonObject): bigint {
  if (usage.is_byok !== true) return 0n;
  return nearestAmount(asObject(usage.cost_details)?.upstream_inference_cost) ?? 0n;
}
