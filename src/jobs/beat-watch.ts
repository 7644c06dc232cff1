import type { InstanceId } from '../domain/ids.ts';
import type { KnownInstance } from '../ledger/instances.ts';

/** Between two observations: after a longer gap nobody has been watched, and everybody gets the whole time anew. */
const longestGapMs = 10_000;

export interface Observation {
  /** By our monotonic clock, before the question was sent and after the answer came. */
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly instances: readonly KnownInstance[];
}

interface Seen {
  readonly beat: string;
  readonly sinceMs: number;
}

/**
 * Sees who has stopped beating, by what changes and by our own monotonic clock: no clock that steps makes anybody look
 * dead, nor does a ledger that was away, which kept everybody from beating and us from looking.
 */
export class BeatWatch {
  readonly #goneAfterMs: number;
  #seen = new Map<InstanceId, Seen>();
  #lastAnsweredAtMs = Number.NEGATIVE_INFINITY;

  constructor(goneAfterMs: number) {
    this.#goneAfterMs = goneAfterMs;
  }

  /** @returns those that did not beat for so long */
  observe({ askedAtMs, answeredAtMs, instances }: Observation): readonly KnownInstance[] {
    const wasWatching = askedAtMs - this.#lastAnsweredAtMs <= longestGapMs;
    const before = wasWatching ? this.#seen : new Map<InstanceId, Seen>();
    this.#seen = new Map();
    this.#lastAnsweredAtMs = answeredAtMs;
    return instances.filter(({ id, beat, place, hasEnded }) => {
      if (hasEnded || place === null) return false;
      const known = before.get(id);
      const seen = known?.beat === beat ? known : { beat, sinceMs: answeredAtMs };
      this.#seen.set(id, seen);
      return askedAtMs - seen.sinceMs >= this.#goneAfterMs;
    });
  }
}
