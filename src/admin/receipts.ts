import type { ChargeLine } from '../domain/charge.ts';
import { formatAmount, formatScaled } from '../domain/money.ts';
import { unitMultiplierPpm } from '../domain/pricing.ts';
import { receiptAmount } from '../domain/receipt.ts';
import type { CommittedTransaction } from '../domain/transaction.ts';
import { inputClasses, outputClasses, type UsageClass } from '../domain/usage.ts';
import type { Json } from './admin-call.ts';

/** A rate is nano per 1,000,000 units: units times rate has so many decimals of the currency's unit. */
const lineDecimals = 15;
/** The multiplier, in parts per million, adds six. */
const totalDecimals = lineDecimals + 6;

const tokenClasses: ReadonlySet<UsageClass> = new Set([...inputClasses, ...outputClasses]);

function lineJson({ usageClass, units, rate, chargedAs, model }: ChargeLine): Json {
  const perUnits = tokenClasses.has(usageClass) ? 1_000_000 : 1;
  return {
    class: usageClass,
    ...(model === null ? {} : { model }),
    units,
    // Null: nobody priced it, so it was charged nothing, and is listed all the same.
    rate: rate === null ? null : formatScaled(rate, perUnits === 1 ? lineDecimals : lineDecimals - 6),
    per_units: perUnits,
    charged_as: chargedAs,
    amount: formatScaled(BigInt(units) * (rate ?? 0n), lineDecimals),
  };
}

/**
 * The sum of a charge as a person can redo it: classes times rates, added up, times the multiplier,
 * rounded once. Null for what was no metered request.
 */
export function receiptJson(transaction: CommittedTransaction): Json {
  const { receipt, amount, multiplierPpm, usageMethod, costAmount } = transaction;
  if (receipt === null) return null;
  const multiplier = multiplierPpm ?? unitMultiplierPpm;
  const sum = receipt.lines.reduce((total, { units, rate }) => total + BigInt(units) * (rate ?? 0n), 0n);
  return {
    method: usageMethod,
    lines: receipt.lines.map(lineJson),
    sum: formatScaled(sum, lineDecimals),
    multiplier_ppm: Number(multiplier),
    exact_amount: formatScaled(sum * multiplier, totalDecimals),
    rounding: 'to 9 decimals, half to even',
    amount: formatAmount(receiptAmount(receipt, multiplier)),
    is_transaction_amount: receiptAmount(receipt, multiplier) === amount,
    tier_above_input_tokens: receipt.aboveInputTokens,
    service_tier: receipt.serviceTier,
    service_tier_is_priced: receipt.serviceTierIsPriced,
    fallbacks: receipt.lines
      .filter(({ usageClass, chargedAs }) => usageClass !== chargedAs)
      .map(({ usageClass, chargedAs }) => ({ class: usageClass, charged_as: chargedAs })),
    cost_amount: costAmount === null ? null : formatAmount(costAmount),
    provider_stated_cost: receipt.statedCost === null ? null : formatAmount(receipt.statedCost),
    provider_usage: receipt.reported as Json,
  };
}
