import type { Logger } from 'pino';
import { formatAmount } from '../domain/money.ts';
import { inputTokens, outputTokens } from '../domain/usage.ts';
import type { GatewayObserver, ReconcileReport, RequestSummary } from './observer.ts';

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

function reconcileLine({ checked, differing, repaired, amount, tenants }: ReconcileReport) {
  return {
    checked,
    differing,
    repaired,
    amount: formatAmount(amount),
    tenants: tenants.map((one) => ({
      tenant_id: one.tenantId,
      quota_redis_db_diff: formatAmount(one.amount),
      what: one.what,
    })),
  };
}

/** One line per request, and one per fault; what only metrics are made of is for who looks closely. */
export function createLogObserver(log: Logger): GatewayObserver {
  return {
    requestEnded: (summary) => log.info(requestLine(summary), 'request'),
    turnedAway: (code) => log.info({ code }, 'request turned away'),
    quotaChecked: () => undefined,
    opened: () => undefined,
    upstreamAnswered: () => undefined,
    charged: () => undefined,
    scriptRun: () => undefined,
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
    reconciled: (report) => {
      if (report === null) return;
      const line = reconcileLine(report);
      if (report.differing > 0) log.warn(line, 'hot state differed from the ledger');
      else log.debug(line, 'hot state equals the ledger');
    },
    fault: (what, error, traceId) => log.error({ err: error, trace_id: traceId }, what),
  };
}
