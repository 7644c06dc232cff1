import { createSettlements } from '../../src/gateway/commit.ts';
import type { Pipeline } from '../../src/gateway/pipeline.ts';
import type { HotState } from '../../src/hot-state/hot-state.ts';
import { type Heartbeat, startHeartbeat } from '../../src/jobs/heartbeat.ts';
import { createOrphanWatch } from '../../src/jobs/orphans.ts';
import { startReconcileJob } from '../../src/jobs/reconcile/job.ts';
import { createReconciler } from '../../src/jobs/reconcile/reconciler.ts';
import type { Driver } from '../../src/ledger/drivers/driver.ts';
import type { Instances } from '../../src/ledger/instances.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createSqlUpkeep } from '../../src/ledger/sql-upkeep.ts';
import type { Observer, ReconcileObserver } from '../../src/observability/observer.ts';
import type { Machine } from './machine.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** What a process does besides requests is done by these parts of it. */
export interface JobParts {
  readonly world: World;
  readonly process: Process;
  readonly machine: Machine;
  readonly driver: Driver;
  readonly ledger: Ledger;
  readonly hotState: HotState;
  readonly instances: Instances;
  readonly observer: Observer & ReconcileObserver;
}

/** Often enough that a run sees several of each. */
const activeEveryMs = 20_000;
const allEveryMs = 60_000;

/** The process says that it lives, as its first act. @throws Fault LEDGER_UNAVAILABLE */
export function openHeartbeat({ process, machine, instances, observer }: JobParts, newId: () => string) {
  return startHeartbeat({
    isAlone: false,
    instances,
    process: { host: 'simulated', pid: machine.pid, place: machine.place },
    newId,
    clock: process.clock,
    onFault: (what, error) => observer.fault(what, error, null),
  });
}

/** Settles what others left open that are known to be dead, and from then on what it finds. @throws Fault LEDGER_UNAVAILABLE */
export async function openOrphanWatch(parts: JobParts, heartbeat: Heartbeat, pipeline: Pipeline) {
  const { process, machine, ledger, hotState, instances, observer } = parts;
  const { clock } = process;
  const orphans = createOrphanWatch({
    instances,
    settlements: createSettlements({ ledger, hotState, observer, clock }),
    self: () => heartbeat.owner,
    isProvablyDead: (instance) => machine.isGone(instance),
    isAlone: false,
    isRunning: (transactionId) => pipeline.isRunning(transactionId),
    clock,
    onSettled: ({ traceId, checkpoint }) => observer.orphanSettled(traceId, checkpoint !== 'nothing'),
    onFault: (what, error) => observer.fault(what, error, null),
  });
  await orphans.settleDead();
  orphans.start();
}

/** Compares hot state with the ledger from now on. */
export function openReconcile({ world, process, driver, ledger, hotState, observer }: JobParts): void {
  const onFault = (what: string, error: unknown) => observer.fault(what, error, null);
  const upkeep = createSqlUpkeep(driver.db);
  const timers = process.clock;
  const reconciler = createReconciler({ hotState, ledger, upkeep, timers, onFault });
  const random = world.chance.unit;
  startReconcileJob({ reconciler, upkeep, observer, timers, random, onFault, activeEveryMs, allEveryMs });
}
