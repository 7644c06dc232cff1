import { describe, expect, it } from 'vitest';
import type { Timers } from '../../domain/clock.ts';
import { nano } from '../../domain/money.ts';
import type { ReconcileReport } from '../../observability/observer.ts';
import { startReconcileJob } from './job.ts';
import type { Scope } from './reconciler.ts';

const minute = 60_000;

/** Time goes on when a test says so, and what follows from it has then happened. */
function handTime() {
  let nowMs = 0;
  const waiting = new Map<() => void, number>();
  const timers: Timers = {
    after: (ms, callback) => {
      waiting.set(callback, nowMs + ms);
      return () => void waiting.delete(callback);
    },
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    timers,
    now: () => nowMs,
    pass: async (ms: number) => {
      for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 1_000) {
        for (const [callback, atMs] of waiting) {
          if (atMs > nowMs) continue;
          waiting.delete(callback);
          callback();
          await settle();
        }
      }
    },
  };
}

const report = (differing: number): ReconcileReport => ({
  checked: 9,
  differing,
  repaired: differing,
  amount: nano(0n),
  tenants: Array.from({ length: differing }, () => ({
    tenantId: 'a' as never,
    amount: nano(0n),
    what: [],
  })),
});

/** Processes that share what a ledger says of turns. */
function given() {
  const time = handTime();
  const begun = new Map<string, number>();
  const claimRun = async (job: string, everyMs: number) => {
    if (time.now() - (begun.get(job) ?? Number.NEGATIVE_INFINITY) < everyMs) return false;
    begun.set(job, time.now());
    return true;
  };
  const start = (run: (scope: Scope, signal: AbortSignal) => Promise<ReconcileReport>) => {
    const told: (ReconcileReport | null)[] = [];
    const faults: unknown[] = [];
    const job = startReconcileJob({
      reconciler: { run: (scope, { signal }) => run(scope, signal) },
      upkeep: { claimRun },
      observer: { reconciled: (one) => told.push(one) },
      timers: time.timers,
      random: () => 0.5,
      onFault: (_, error) => faults.push(error),
    });
    return { job, told, faults };
  };
  return { time, start };
}

const namedIn = (told: readonly (ReconcileReport | null)[]) =>
  told.map((report) => report?.tenants.length ?? null);

describe('the comparison of hot state with the ledger', () => {
  it('looks at all tenants once an hour, and at the active ones each minute, in one process of all', async () => {
    const { time, start } = given();
    const scopes: Scope[] = [];
    const run = async (scope: Scope) => {
      scopes.push(scope);
      return report(0);
    };
    const processes = [start(run), start(run)];
    await time.pass(62 * minute);
    expect(scopes.filter((scope) => scope === 'all')).toHaveLength(2);
    const active = scopes.filter((scope) => scope === 'active').length;
    expect(active).toBeGreaterThanOrEqual(48);
    expect(active).toBeLessThanOrEqual(62);
    for (const { job } of processes) await job.close();
  });

  it('tells that nothing differs any more when it is another process’ turn', async () => {
    const { time, start } = given();
    const first = start(async () => report(2));
    // All of them, and then the active ones; no one's turn is next.
    await time.pass(35_000);
    expect(namedIn(first.told)).toEqual([2, 2]);
    await time.pass(30_000);
    expect(namedIn(first.told)).toEqual([2, 2, null]);
    await first.job.close();
  });

  it('goes on after a fault, which it tells once', async () => {
    const { time, start } = given();
    let isAway = true;
    const scopes: Scope[] = [];
    const { job, told, faults } = start(async (scope) => {
      if (isAway) throw new Error('away');
      scopes.push(scope);
      return report(0);
    });
    await time.pass(5 * minute);
    expect([faults.length, told.length]).toEqual([1, 0]);
    isAway = false;
    await time.pass(2 * minute);
    expect(told.length).toBeGreaterThan(0);
    expect(scopes[0]).toBe('all');
    await job.close();
  });

  it('ends with the run that is under way, which is told to end', async () => {
    const { time, start } = given();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const { job, told } = start(async (_, signal) => {
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await ended;
      return report(0);
    });
    await time.pass(minute);
    let isClosed = false;
    const closing = job.close().then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    end();
    await closing;
    expect(told).toHaveLength(1);
  });
});
