import type { Timers } from '../../domain/clock.ts';
import type { Upkeep } from '../../ledger/upkeep.ts';
import type { ReconcileObserver } from '../../observability/observer.ts';
import { pause } from '../pause.ts';
import { toldOnce } from '../told-once.ts';
import type { Reconciler, Scope } from './reconciler.ts';

export interface ReconcileJobOptions {
  readonly reconciler: Reconciler;
  readonly upkeep: Pick<Upkeep, 'claimRun'>;
  readonly observer: ReconcileObserver;
  readonly timers: Timers;
  /** From 0 to 1, for what processes must not do in step. */
  readonly random: () => number;
  /** Told once until it goes well again. */
  readonly onFault: (what: string, error: unknown) => void;
  /** How often one process of all looks at the tenants of which something changed. */
  readonly activeEveryMs?: number;
  /** How often one looks at all of them. */
  readonly allEveryMs?: number;
}

export interface ReconcileJob {
  /** Begins no more, and ends what is under way after the tenant that it is at. */
  close(): Promise<void>;
}

/** Every process may run one: the ledger says whose turn it is. */
export function startReconcileJob(options: ReconcileJobOptions): ReconcileJob {
  const { reconciler, upkeep, observer, timers, random, onFault } = options;
  const { activeEveryMs = 60_000, allEveryMs = 3_600_000 } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const told = toldOnce('comparing hot state with the ledger', onFault);
  let hasNamed = false;
  // A turn that failed is taken again: the next one may be an hour away.
  let owed: Scope | null = null;

  const scopeOfTurn = async (): Promise<Scope | null> => {
    if (await upkeep.claimRun('reconcile_all', allEveryMs)) return 'all';
    return (await upkeep.claimRun('reconcile', activeEveryMs)) ? 'active' : null;
  };

  const round = async () => {
    const scope = owed ?? (await scopeOfTurn());
    if (scope === null && !hasNamed) return;
    owed = scope;
    const report = scope === null ? null : await reconciler.run(scope, { repairs: true, signal });
    owed = null;
    hasNamed = report !== null && report.tenants.length > 0;
    observer.reconciled(report);
  };

  const run = async () => {
    for (;;) {
      // Four times as often as it is anyone's turn: whoever died leaves no gap.
      await pause(timers, (activeEveryMs / 4) * (0.75 + 0.5 * random()), signal);
      if (signal.aborted) return;
      await told(round());
    }
  };

  const running = run();
  return {
    close: async () => {
      closing.abort();
      await running;
    },
  };
}
