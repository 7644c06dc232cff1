import { randomUUIDv7 } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config } from '../config.ts';
import { systemClock } from '../domain/clock.ts';
import { createSettlements } from '../gateway/commit.ts';
import type { Pipeline } from '../gateway/pipeline.ts';
import { type Heartbeat, startHeartbeat } from '../jobs/heartbeat.ts';
import { createOrphanWatch } from '../jobs/orphans.ts';
import type { Observer } from '../observability/observer.ts';
import { isGoneFrom, placeOfThisProcess } from './place.ts';
import type { Stores } from './stores.ts';

export interface OwnershipParts {
  readonly config: Pick<Config, 'databaseUrl'>;
  readonly stores: Stores;
  readonly observer: Observer;
}

/** Says that this process lives; at its end, that what it has left open is others' to settle. */
export async function openHeartbeat(
  { config, stores, observer }: OwnershipParts,
  undo: AsyncDisposableStack,
): Promise<Heartbeat> {
  const onFault = (what: string, error: unknown) => observer.fault(what, error, null);
  const heartbeat = await startHeartbeat({
    instances: stores.instances,
    process: { host: hostname(), pid: process.pid, place: placeOfThisProcess() },
    newId: randomUUIDv7,
    isAlone: isAlone(config),
    clock: systemClock,
    onFault,
  });
  undo.defer(() => heartbeat.close().catch((error) => onFault('saying that this process ends', error)));
  return heartbeat;
}

export interface OrphanParts extends OwnershipParts {
  readonly heartbeat: Heartbeat;
  readonly pipeline: Pipeline;
}

/** Settles what processes that have died left open: when this resolves, all that died on this machine. */
export async function openOrphanWatch(parts: OrphanParts, undo: AsyncDisposableStack): Promise<void> {
  const { config, stores, observer, heartbeat, pipeline } = parts;
  const { ledger, hotState, instances } = stores;
  const place = placeOfThisProcess();
  const orphans = createOrphanWatch({
    instances,
    settlements: createSettlements({ ledger, hotState, observer, clock: systemClock }),
    self: () => heartbeat.owner,
    isProvablyDead: (instance) => isGoneFrom(place, instance),
    isAlone: isAlone(config),
    isRunning: (transactionId) => pipeline.isRunning(transactionId),
    clock: systemClock,
    onSettled: (orphan) => observer.orphanSettled(orphan.traceId, orphan.checkpoint !== 'nothing'),
    onFault: (what, error) => observer.fault(what, error, null),
  });
  await orphans.settleDead();
  orphans.start();
  undo.defer(() => orphans.close());
}

/** The embedded ledger's directory is locked by the process that has it open. */
function isAlone({ databaseUrl }: Pick<Config, 'databaseUrl'>): boolean {
  return databaseUrl === null;
}
