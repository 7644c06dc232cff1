import type { Logger } from 'pino';
import { formatAmount } from '../domain/money.ts';
import { inputTokens, outputTokens } from '../domain/usage.ts';
import type { LedgerObserver, Observer, RequestSummary } from './observer.ts';

const thousandths = (value: number) => Math.round(value * 1000) / 1000;
const milliseconds = (value: number | null) => (value === null ? null : thousandths(value));

function requestLine(summary: RequestSummary) {
  const { metered, charge } = summary;
  return {
    trace_id: summary.traceId,
    tenant_id: summary.tenantId,
    api_key_id: summary.apiKeyId,
    transaction_id: summary.transactionId,
    model: summary.model,
    provider: summary.provider,
    stream: summary.stream,
    outcome: summary.outcome,
    code: summary.code,
    input_tokens: metered && inputTokens(metered.usage),
    output_tokens: metered && outputTokens(metered.usage),
    usage_method: metered?.method ?? null,
    charge: charge === null ? null : formatAmount(charge),
    ...(summary.exceeded === null ? {} : { exceeded: summary.exceeded }),
    ...(summary.unpriced.length === 0 ? {} : { unpriced: summary.unpriced }),
    latency_ms: milliseconds(summary.latencyMs),
    time_to_first_byte_ms: milliseconds(summary.timeToFirstByteMs),
  };
}

/** One line per request, and one per fault; what only metrics are made of is for who looks closely. */
export function createLogObserver(log: Logger): Observer & LedgerObserver {
  return {
    requestEnded: (summary) => log.info(requestLine(summary), 'request'),
    tokensCompared: ({ model, percent }) =>
      log.debug({ model, stream_token_accuracy_percent: thousandths(percent) }, 'tokens compared'),
    batchWritten: (batch) => {
      // Hundreds a second: nothing is made for a line that nobody reads.
      if (!log.isLevelEnabled('trace')) return;
      const { size, failed, waitedMs, writeMs, queueLength } = batch;
      const times = { waited_ms: thousandths(waitedMs), write_ms: thousandths(writeMs) };
      log.trace({ size, failed, ...times, queue_length: queueLength }, 'batch written');
    },
    orphanSettled: (traceId, isCharged) =>
      log.warn({ trace_id: traceId, charged: isCharged }, 'settled what a process that died had left open'),
    fault: (what, error, traceId) => log.error({ err: error, trace_id: traceId }, what),
  };
}
