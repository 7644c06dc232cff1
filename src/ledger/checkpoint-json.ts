import { formatAmount, parseAmount } from '../domain/money.ts';
import { decodePriceList, encodePriceList, type PriceListJson } from '../domain/price-list-json.ts';
import { decodeReceipt, encodeReceipt, type ReceiptJson } from '../domain/receipt.ts';
import type { Outcome } from '../domain/transaction.ts';
import type { Usage, UsageMethod } from '../domain/usage.ts';
import type { CheckpointedClosing } from './ledger.ts';

/** Counted up when an older version could read it wrongly. */
const layout = 1;

/** The column `checkpoint`: a commit as it would be if the process died now. */
export interface CheckpointJson {
  readonly layout: number;
  readonly amount: string;
  readonly usage: Usage;
  readonly usage_method: UsageMethod;
  readonly cost_amount: string | null;
  readonly rates: PriceListJson;
  readonly receipt: ReceiptJson;
  readonly provider: string | null;
  readonly record: {
    readonly outcome: Outcome;
    readonly stream: boolean;
    readonly stream_completed: boolean | null;
    readonly stream_error: string | null;
    readonly finish_reason: string | null;
    readonly latency_ms: number;
    readonly time_to_first_byte_ms: number | null;
  };
}

export function encodeCheckpoint(closing: CheckpointedClosing): CheckpointJson {
  const { amount, metered, costAmount, rates, receipt, provider, record } = closing;
  return {
    layout,
    amount: formatAmount(amount),
    usage: metered.usage,
    usage_method: metered.method,
    cost_amount: costAmount === null ? null : formatAmount(costAmount),
    rates: encodePriceList({ rates }),
    receipt: encodeReceipt(receipt),
    provider,
    record: {
      outcome: record.outcome,
      stream: record.stream,
      stream_completed: record.streamCompleted,
      stream_error: record.streamError,
      finish_reason: record.finishReason,
      latency_ms: record.latencyMs,
      time_to_first_byte_ms: record.timeToFirstByteMs,
    },
  };
}

/** Null where a newer version has written it. */
export function decodeCheckpoint(json: CheckpointJson): CheckpointedClosing | null {
  if (json.layout !== layout) return null;
  const { record } = json;
  return {
    amount: parseAmount(json.amount),
    metered: { usage: json.usage, method: json.usage_method },
    costAmount: json.cost_amount === null ? null : parseAmount(json.cost_amount),
    rates: decodePriceList(json.rates).rates,
    receipt: decodeReceipt(json.receipt),
    provider: json.provider,
    record: {
      outcome: record.outcome,
      stream: record.stream,
      streamCompleted: record.stream_completed,
      streamError: record.stream_error,
      finishReason: record.finish_reason,
      latencyMs: record.latency_ms,
      timeToFirstByteMs: record.time_to_first_byte_ms,
    },
  };
}
