import type { GatewayObserver } from './observer.ts';

/** Tells all of them. One that fails keeps neither the others from hearing of it nor a request from its answer. */
export function observers(all: readonly GatewayObserver[]): GatewayObserver {
  const tell = (call: (one: GatewayObserver) => void) => {
    for (const one of all) {
      try {
        call(one);
      } catch {
        // There is nobody else to tell.
      }
    }
  };
  return {
    requestEnded: (summary) => tell((one) => one.requestEnded(summary)),
    turnedAway: (code) => tell((one) => one.turnedAway(code)),
    quotaChecked: (check) => tell((one) => one.quotaChecked(check)),
    opened: (isStream) => tell((one) => one.opened(isStream)),
    upstreamAnswered: (attempt) => tell((one) => one.upstreamAnswered(attempt)),
    charged: (summary) => tell((one) => one.charged(summary)),
    tokensCompared: (accuracy) => tell((one) => one.tokensCompared(accuracy)),
    orphanSettled: (traceId, isCharged) => tell((one) => one.orphanSettled(traceId, isCharged)),
    fault: (what, error, traceId) => tell((one) => one.fault(what, error, traceId)),
    batchWritten: (batch) => tell((one) => one.batchWritten(batch)),
    reconciled: (report) => tell((one) => one.reconciled(report)),
    scriptRun: (script, durationMs) => tell((one) => one.scriptRun(script, durationMs)),
  };
}
