import type { ErrorCode } from '../../domain/errors.ts';
import { inputTokens, outputTokens } from '../../domain/usage.ts';
import type { GatewayObserver, RequestSummary, UpstreamAttempt } from '../observer.ts';
import type { DifferenceGauges } from './difference-gauges.ts';
import type { Instruments } from './instruments.ts';
import { TokenAccuracySums } from './token-accuracy.ts';
import { unitsOf } from './units.ts';

const seconds = (milliseconds: number) => milliseconds / 1000;

/** Counts and times what it is told of. */
export function createMetricsObserver(to: Instruments, differences: DifferenceGauges): GatewayObserver {
  const accuracy = new TokenAccuracySums();
  return {
    requestEnded: (summary) => countRequest(to, summary),
    turnedAway: (code) => to.requests.inc({ outcome: 'refused', code }),
    quotaChecked: ({ refusedWith, durationMs }) => {
      if (refusedWith === null) to.quotaPassed.inc();
      else to.quotaFailed.inc({ reason: refusedWith });
      to.quotaDuration.observe(seconds(durationMs));
    },
    opened: (isStream) => {
      if (isStream) to.streamsOpened.inc();
    },
    upstreamAnswered: (attempt) => countAttempt(to, attempt),
    charged: ({ model: name, stream, metered, amount, costAmount }) => {
      const model = to.models.of(name);
      to.deducted.inc();
      if (stream) {
        to.streamsCommitted.inc();
        to.calculations.inc({ method: metered.method });
      }
      to.revenue.inc({ model }, unitsOf(amount));
      if (costAmount !== null) to.cost.inc({ model }, unitsOf(costAmount));
      to.tokens.inc({ model, side: 'input' }, inputTokens(metered.usage));
      to.tokens.inc({ model, side: 'output' }, outputTokens(metered.usage));
    },
    tokensCompared: ({ model: name, counted, reported }) => {
      const model = to.upstreamModels.of(name);
      to.compared.inc({ model });
      to.accuracy.set({ model }, accuracy.add(model, counted, reported));
    },
    orphanSettled: (_, isCharged) => {
      to.orphans.inc({ result: isCharged ? 'charged' : 'voided' });
      if (isCharged) to.deducted.inc();
    },
    scriptRun: (script, durationMs) => to.luaDuration.observe({ script }, seconds(durationMs)),
    batchWritten: ({ size, failed, waitedMs, writeMs }) => {
      to.batchSize.observe(size);
      to.batchWait.observe(seconds(waitedMs));
      to.batchWrite.observe(seconds(writeMs));
      if (failed > 0) to.batchFailed.inc(failed);
    },
    reconciled: (report) => differences.take(report),
    fault: (what) => to.faults.inc({ what: to.faultKinds.of(what) }),
  };
}

/** Of a request under a trace id that was here before, with the same content. */
const ofRepeats: ReadonlySet<ErrorCode> = new Set(['REQUEST_ALREADY_BILLED', 'REQUEST_IN_PROGRESS']);

function countRequest(to: Instruments, summary: RequestSummary): void {
  const { model, provider, stream, code, outcome, transactionId, latencyMs, timeToFirstByteMs } = summary;
  const unbilled = code === null ? 'free' : 'refused';
  to.requests.inc({ outcome: outcome ?? unbilled, code: code ?? '' });
  if (code !== null && ofRepeats.has(code)) to.idempotentHits.inc();
  // Only of what was opened is the model one of the catalog, and not what somebody has written.
  if (transactionId === null || model === null) return;
  to.modelRequests.inc({ model: to.models.of(model) });
  to.requestDuration.observe({ stream: String(stream === true) }, seconds(latencyMs));
  if (timeToFirstByteMs !== null && provider !== null) {
    to.firstByte.observe({ provider: to.providers.of(provider) }, seconds(timeToFirstByteMs));
  }
}

function countAttempt(to: Instruments, { provider: name, result, latencyMs }: UpstreamAttempt): void {
  const provider = to.providers.of(name);
  // The client's leave says nothing of an upstream.
  if (result === 'aborted') return;
  if (typeof result !== 'number') {
    to.upstreamErrors.inc({ provider, reason: result });
    return;
  }
  to.upstreamResponses.inc({ provider, status: statusClassOf(result) });
  to.upstreamDuration.observe({ provider }, seconds(latencyMs));
}

function statusClassOf(status: number): string {
  return status === 429 ? '429' : `${Math.floor(status / 100)}xx`;
}
