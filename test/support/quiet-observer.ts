import type { Observer } from '../../src/observability/observer.ts';

/** One that looks at nothing, to be given what a test looks at. */
export const quietObserver: Observer = {
  requestEnded: () => undefined,
  turnedAway: () => undefined,
  quotaChecked: () => undefined,
  opened: () => undefined,
  upstreamAnswered: () => undefined,
  charged: () => undefined,
  tokensCompared: () => undefined,
  orphanSettled: () => undefined,
  fault: () => undefined,
};
