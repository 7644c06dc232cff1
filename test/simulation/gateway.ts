import type { Catalog } from '../../src/catalog/catalog.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import { sleep } from '../../src/domain/clock.ts';
import type { IdSource } from '../../src/domain/ids.ts';
import { createPipeline, type Pipeline } from '../../src/gateway/pipeline.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createSqlInstances } from '../../src/ledger/sql-instances.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import type { Observer, ReconcileObserver } from '../../src/observability/observer.ts';
import { quietObserver } from '../support/quiet-observer.ts';
import { type Command, CommandOrder } from './command-order.ts';
import { type Database, labelOf } from './database.ts';
import type { Figures } from './figures.ts';
import { type HotStateServer, hotStateOf } from './hot-state.ts';
import { type JobParts, openHeartbeat, openOrphanWatch, openReconcile } from './jobs.ts';
import type { Machines } from './machine.ts';
import type { Network } from './network.ts';
import type { Process } from './process.ts';
import { simulatedTokenizer } from './tokenizer.ts';
import type { Upstreams } from './upstream.ts';
import type { World } from './world.ts';

/** What all processes of a run share. */
export interface Surroundings {
  readonly world: World;
  readonly network: Network;
  readonly database: Database;
  readonly hotState: HotStateServer;
  readonly upstreams: Upstreams;
  readonly catalog: Catalog;
  readonly newId: IdSource;
  readonly dialect: Dialect;
  readonly pendingTtlMs: number;
  readonly machines: Machines;
  readonly figures: Figures;
}

/** One life of a gateway that serves: the real pipeline, ledger and jobs, on the simulated network. */
export interface Gateway extends JobParts {
  readonly pipeline: Pipeline;
  /** When the ledger was first asked to close a transaction, by its id. */
  readonly closingSinceMs: ReadonlyMap<string, number>;
}

/** Whoever can't start yet begins again so much later, as what starts processes has it do. */
const startAgainMs = 500;

/**
 * Starts as a process does: it says that it lives, settles what those left open that it knows to be dead, and serves.
 * @param place where it runs; null: where nobody else is
 * @param onServing called with it when it takes requests; never, if it dies before
 */
export function startGateway(
  process: Process,
  around: Surroundings,
  place: string | null,
  onServing: (gateway: Gateway) => void,
): void {
  const { world, network, database, machines } = around;
  const driver = database.driverOf(process, network);
  const closingSinceMs = new Map<string, number>();
  const order = new CommandOrder(world);
  const ledger = createSqlLedger({ driver: order.watch(driver, labelOf), clock: process.clock });
  const parts: JobParts = {
    world,
    process,
    machine: machines.put(process, place),
    driver,
    ledger: repeating({ ledger, order, world, closingSinceMs }),
    hotState: hotStateOf(process, network, around.hotState),
    instances: createSqlInstances(driver),
    observer: observerOf(process, around),
  };
  const start = async (): Promise<void> => {
    try {
      onServing({ ...parts, pipeline: await openServing(parts, around), closingSinceMs });
    } catch (error) {
      world.note(`  ${process.name} does not start: ${(error as Error).message}`);
      await sleep(process.clock, startAgainMs);
      await start();
    }
  };
  void start();
}

async function openServing(parts: JobParts, around: Surroundings): Promise<Pipeline> {
  const { world, upstreams, catalog, newId, pendingTtlMs, machines } = around;
  const { process, ledger, hotState, observer } = parts;
  const heartbeat = await openHeartbeat(parts, () => {
    const id = newId();
    machines.ownerOf.set(id, process);
    return id;
  });
  const pipeline = createPipeline({
    catalog,
    hotState,
    ledger,
    upstreams: upstreams.clientOf(process),
    readCredential: (stored) => stored,
    tokenizer: simulatedTokenizer,
    observer,
    clock: process.clock,
    newId,
    random: world.chance.unit,
    lease: heartbeat,
    pendingTtlMs,
  });
  await openOrphanWatch(parts, heartbeat, pipeline);
  openReconcile(parts);
  return pipeline;
}

function observerOf({ name }: Process, { world, figures }: Surroundings): Observer & ReconcileObserver {
  return {
    ...quietObserver,
    fault: (what, error) => world.note(`  ${name} fault ${what}: ${String((error as Error).message)}`),
    orphanSettled: (traceId, isCharged) => {
      world.note(`  ${name} settled the orphan ${traceId}, ${isCharged ? 'charged' : 'void'}`);
      figures.add(isCharged ? 'orphans charged' : 'orphans voided');
    },
    reconciled: (report) => {
      if (report === null) return;
      const { checked, tenants, repaired } = report;
      figures.add('reconciliations');
      figures.add('tenants repaired', repaired);
      world.note(
        `  ${name} compared ${checked} tenants, ${repaired} repaired ${JSON.stringify(tenants, textOf)}`,
      );
    },
  };
}

function textOf(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** Every command may be given twice, at once and by others: a caller that does so changes nothing. */
const repeatedAtOnce = 0.05;

interface Repeating {
  readonly ledger: Ledger;
  readonly order: CommandOrder;
  readonly world: World;
  readonly closingSinceMs: Map<string, number>;
}

function repeating({ ledger, order, world, closingSinceMs }: Repeating): Ledger {
  const sometimesTwice = <Answer>(command: Command, id: string, run: () => Promise<Answer>) => {
    const first = order.give(command, id, run);
    if (world.chance.happens(repeatedAtOnce)) order.give(command, id, run).catch(() => undefined);
    return first;
  };
  return {
    ...ledger,
    createPending: (draft) => sometimesTwice('createPending', draft.id, () => ledger.createPending(draft)),
    commitPending: (commit) => {
      const { transactionId } = commit;
      if (!closingSinceMs.has(transactionId)) closingSinceMs.set(transactionId, world.nowMs);
      return sometimesTwice('commitPending', transactionId, () => ledger.commitPending(commit));
    },
    voidPending: (close) =>
      sometimesTwice('voidPending', close.transactionId, () => ledger.voidPending(close)),
    checkpoint: (checkpoint) =>
      order.give('checkpoint', checkpoint.transactionId, () => ledger.checkpoint(checkpoint)),
  };
}
