import type { Clock, Timers } from '../../src/domain/clock.ts';

export interface ManualClock extends Clock, Timers {
  /** Lets time pass: calls back what is due in its order, and lets everything run that waits for nothing else. */
  advance(ms: number): Promise<void>;
}

/** A clock that goes only when it is told to. */
export function manualClock(): ManualClock {
  let nowMs = 0;
  const waiting = new Set<{ readonly atMs: number; readonly callback: () => void }>();
  // What runs in one turn of the event loop may have the next turn run more.
  const settle = async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    after: (ms, callback) => {
      const timer = { atMs: nowMs + ms, callback };
      waiting.add(timer);
      return () => waiting.delete(timer);
    },
    advance: async (ms) => {
      const untilMs = nowMs + ms;
      for (;;) {
        await settle();
        const due = [...waiting].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
        const [next] = due;
        if (next === undefined) break;
        waiting.delete(next);
        nowMs = Math.max(nowMs, next.atMs);
        next.callback();
      }
      nowMs = untilMs;
      await settle();
    },
  };
}
