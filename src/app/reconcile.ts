import type { AdminCall } from '../admin/admin-call.ts';
import { reconcileCalls } from '../admin/reconcile.ts';
import { systemClock } from '../domain/clock.ts';
import { startReconcileJob } from '../jobs/reconcile/job.ts';
import { createReconciler } from '../jobs/reconcile/reconciler.ts';
import { createSqlUpkeep } from '../ledger/sql-upkeep.ts';
import type { Observer, ReconcileObserver } from '../observability/observer.ts';
import type { Stores } from './stores.ts';

/** Compares hot state with the ledger again and again, and when an admin asks for it. */
export function openReconcile(
  { hotState, ledger, driver, catalog }: Stores,
  { observer, everyMs }: { readonly observer: Observer & ReconcileObserver; readonly everyMs: number },
  undo: AsyncDisposableStack,
): readonly AdminCall[] {
  const onFault = (what: string, error: unknown) => observer.fault(what, error, null);
  const upkeep = createSqlUpkeep(driver.db);
  const parts = { upkeep, timers: systemClock, onFault };
  const reconciler = createReconciler({ hotState, ledger, ...parts });
  const job = startReconcileJob({
    reconciler,
    observer,
    random: Math.random,
    activeEveryMs: everyMs,
    ...parts,
  });
  const closing = new AbortController();
  undo.defer(() => {
    closing.abort();
    return job.close();
  });
  return reconcileCalls({
    catalog,
    reconcile: (tenantId) =>
      reconciler.run(tenantId === null ? 'all' : { tenantId }, { repairs: true, signal: closing.signal }),
  });
}
