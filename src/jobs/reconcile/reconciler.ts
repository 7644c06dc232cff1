import type { Timers } from '../../domain/clock.ts';
import { Fault } from '../../domain/errors.ts';
import type { TenantId } from '../../domain/ids.ts';
import type { HoldsOfTenant, HotState } from '../../hot-state/hot-state.ts';
import type { Ledger, TenantSnapshot } from '../../ledger/ledger.ts';
import type { TenantPageRequest, Upkeep } from '../../ledger/upkeep.ts';
import type { ReconcileReport } from '../../observability/observer.ts';
import { pause } from '../pause.ts';
import { type Difference, differencesOf, type GhostHold, identityOf } from './differences.ts';
import { createTally } from './tally.ts';

export interface ReconcilerOptions {
  readonly hotState: HotState;
  readonly ledger: Pick<Ledger, 'snapshot'>;
  readonly upkeep: Pick<Upkeep, 'tenants'>;
  readonly timers: Timers;
  /** Told of what a run survived. */
  readonly onFault: (what: string, error: unknown) => void;
  /** What differs is looked at again after this time: longer than a request needs from the ledger to hot state. */
  readonly lookAgainMs?: number;
}

/** Which tenants are looked at. */
export type Scope = TenantPageRequest['which'] | { readonly tenantId: TenantId };

export interface RunOptions {
  /** Whether what differs is repaired, and not only told. */
  readonly repairs: boolean;
  /** Ends a run early: its report tells what was done until then. */
  readonly signal: AbortSignal;
}

export interface Reconciler {
  /** @throws Fault HOT_STATE_UNAVAILABLE or LEDGER_UNAVAILABLE, whichever can't be reached */
  run(scope: Scope, options: RunOptions): Promise<ReconcileReport>;
}

const atOnce = 4;
/** So many are remembered before they are looked at again. */
const maxSuspects = 10_000;

/** What one look at a tenant showed. */
interface Look {
  readonly differences: readonly Difference[];
  /** Null where hot state knows nothing of the tenant. */
  readonly snapshot: TenantSnapshot | null;
}

type Suspects = Map<TenantId, ReadonlySet<string>>;

/**
 * Compares hot state with the ledger. What both of two looks show was not in flight: it is told, and repaired by
 * version. No repair frees money that a request needs: a row is taken only where it is newer, a hold is given back only
 * where its row is closed, and all else makes the tenant cold, which admits nobody before the ledger was asked.
 */
export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { timers, lookAgainMs = 1_000 } = options;

  /** Of the tenants that differed, those that still do in the same. */
  async function lookAgain(suspects: Suspects, tally: ReturnType<typeof createTally>, run: RunOptions) {
    const before = new Map(suspects);
    suspects.clear();
    if (before.size === 0) return;
    await pause(timers, lookAgainMs, run.signal);
    await forEach(before, run.signal, async ([tenantId, known]) => {
      const { differences, snapshot } = await look(tenantId, options);
      const standing = differences.filter((difference) => known.has(identityOf(difference)));
      if (standing.length === 0) return;
      tally.differs(tenantId, standing);
      if (!run.repairs) return;
      await repair(tenantId, standing, snapshot, options.hotState);
      tally.repaired();
    });
  }

  return {
    run: async (scope, run) => {
      const tally = createTally();
      const suspects: Suspects = new Map();
      for await (const tenantIds of pagesOf(scope, options.upkeep)) {
        await forEach(tenantIds, run.signal, async (tenantId) => {
          const { differences } = await look(tenantId, options);
          tally.checked();
          if (differences.length > 0) suspects.set(tenantId, new Set(differences.map(identityOf)));
        });
        if (suspects.size >= maxSuspects) await lookAgain(suspects, tally, run);
        if (run.signal.aborted) break;
      }
      await lookAgain(suspects, tally, run);
      return tally.report();
    },
  };
}

async function* pagesOf(scope: Scope, upkeep: Pick<Upkeep, 'tenants'>): AsyncGenerator<readonly TenantId[]> {
  if (typeof scope === 'object') {
    yield [scope.tenantId];
    return;
  }
  let after: TenantId | null = null;
  do {
    const page = await upkeep.tenants({ after, which: scope });
    yield page.tenantIds;
    after = page.next;
  } while (after !== null);
}

/** A few at a time, until the signal says to end. The first failure ends it too. */
async function forEach<Item>(
  items: Iterable<Item>,
  signal: AbortSignal,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = items[Symbol.iterator]();
  let failed = false;
  const worker = async () => {
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
      if (signal.aborted || failed) return;
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

const cold: Look = { differences: [], snapshot: null };

/** Hot state first: a hold whose row the later snapshot doesn't know as open is of a request that is over. */
async function look(tenantId: TenantId, options: ReconcilerOptions): Promise<Look> {
  const hot = await readHolds(tenantId, options);
  if (hot === undefined) return cold;
  if (hot === 'unreadable') return { differences: [{ kind: 'unreadable' }], snapshot: null };
  const snapshot = await options.ledger.snapshot(tenantId);
  if (snapshot.kind === 'unknown_tenant') return cold;
  return { differences: differencesOf(hot, snapshot), snapshot };
}

async function readHolds(
  tenantId: TenantId,
  { hotState, onFault }: ReconcilerOptions,
): Promise<HoldsOfTenant | 'unreadable' | undefined> {
  try {
    return await hotState.holds(tenantId);
  } catch (error) {
    if (error instanceof Fault && error.code === 'HOT_STATE_UNAVAILABLE') throw error;
    onFault('reading the holds of a tenant', new Error(tenantId, { cause: error }));
    return 'unreadable';
  }
}

/** Each may be done twice, by several processes at once and after the request itself: it then changes nothing more. */
async function repair(
  tenantId: TenantId,
  differences: readonly Difference[],
  snapshot: TenantSnapshot | null,
  hotState: HotState,
): Promise<void> {
  const ghosts = differences.filter((one): one is GhostHold => one.kind === 'ghost_hold');
  const isOlder = differences.some(({ kind }) => kind === 'older');
  if (snapshot === null || ghosts.length + (isOlder ? 1 : 0) < differences.length) {
    return await hotState.forget(tenantId);
  }
  if (isOlder) await hotState.project(snapshot.projection);
  for (const { hold } of ghosts) await hotState.deduct(hold, snapshot.projection, null);
}
