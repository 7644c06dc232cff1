import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.ts';
import { entriesUpTo } from '../domain/entries-up-to.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import { type Soon, whenKnown } from '../domain/soon.ts';
import type {
  Admitted,
  AlreadyOpen,
  Cold,
  Confirmed,
  Denied,
  Extended,
  HotState,
  LoadTicket,
  NotExtended,
  Settled,
} from '../hot-state/hot-state.ts';
import type { Ledger } from '../ledger/ledger.ts';

type Decided = Admitted | Confirmed | Denied | AlreadyOpen | Settled | Extended | NotExtended;

export interface TenantLoader {
  /**
   * What hot state answers once the tenant is loaded. A refusal where there is no such tenant, or where it is
   * cold again and again.
   * @throws Fault HOT_STATE_UNAVAILABLE or LEDGER_UNAVAILABLE, whichever can't be reached
   */
  ask<Answer extends Decided>(
    tenantId: TenantId,
    question: () => Soon<Answer | Cold>,
  ): Soon<Answer | Refusal>;
  /**
   * Shows hot state the tenant's newest row, once a second at most: a projection that was lost, of a top-up
   * for one, must not deny a tenant for longer.
   * @returns whether it did just now: ask again then
   * @throws Fault HOT_STATE_UNAVAILABLE or LEDGER_UNAVAILABLE, in the same second for every denial: while the
   *   ledger is away, requests that it can't close keep their holds, and a denial may be for want of that money
   */
  refresh(tenantId: TenantId): Promise<boolean>;
}

export interface TenantLoaderOptions {
  readonly hotState: HotState;
  readonly ledger: Ledger;
  readonly clock: Clock;
}

/** Hot state may be lost between loading and asking; that often in a row it isn't. */
const maxLoads = 4;

const freshForMs = 1_000;
const maxFresh = 50_000;

/** One of the last second. */
interface Refresh {
  readonly isUnderWay: boolean;
  /** Rejects for everyone who asks in this second. */
  readonly done: Promise<void>;
}

/** Loads cold tenants from the ledger: once for all of this process' requests that find one cold together. */
export function createTenantLoader({ hotState, ledger, clock }: TenantLoaderOptions): TenantLoader {
  const loading = new Map<TenantId, Promise<boolean>>();

  /** @returns whether there is such a tenant */
  async function load(tenantId: TenantId, ticket: LoadTicket): Promise<boolean> {
    const snapshot = await ledger.snapshot(tenantId);
    if (snapshot.kind === 'unknown_tenant') return false;
    await hotState.load(snapshot, ticket);
    return true;
  }

  function loadOnce(tenantId: TenantId, ticket: LoadTicket): Promise<boolean> {
    const underWay = loading.get(tenantId);
    if (underWay !== undefined) return underWay;
    const begun = load(tenantId, ticket).finally(() => loading.delete(tenantId));
    loading.set(tenantId, begun);
    return begun;
  }

  async function loadAndAsk<Answer extends Decided>(
    tenantId: TenantId,
    cold: Cold,
    question: () => Soon<Answer | Cold>,
  ): Promise<Answer | Refusal> {
    let { ticket } = cold;
    for (let loads = 0; loads < maxLoads; loads++) {
      if (!(await loadOnce(tenantId, ticket)))
        return refusal('API_KEY_INVALID', 'The tenant of this API key does not exist any more.');
      const answer = await question();
      if (answer.kind !== 'cold') return answer;
      ticket = answer.ticket;
    }
    return refusal('HOT_STATE_UNAVAILABLE', 'Try again. Nothing was charged.');
  }

  const refreshes = new LRUCache<TenantId, Refresh>({
    ...entriesUpTo(maxFresh),
    ttl: freshForMs,
    ttlResolution: 0,
    perf: { now: () => clock.monotonic() },
  });

  async function showNewest(tenantId: TenantId, begun: { isUnderWay: boolean }): Promise<void> {
    try {
      const snapshot = await ledger.snapshot(tenantId);
      if (snapshot.kind === 'snapshot') await hotState.project(snapshot.projection);
    } finally {
      begun.isUnderWay = false;
    }
  }

  function beginRefresh(tenantId: TenantId): Refresh {
    const begun = { isUnderWay: true };
    const refresh = Object.assign(begun, { done: showNewest(tenantId, begun) });
    refreshes.set(tenantId, refresh);
    return refresh;
  }

  return {
    refresh: async (tenantId) => {
      const { isUnderWay, done } = refreshes.get(tenantId) ?? beginRefresh(tenantId);
      await done;
      return isUnderWay;
    },
    ask: (tenantId, question) =>
      whenKnown(question(), (answer) =>
        answer.kind === 'cold' ? loadAndAsk(tenantId, answer, question) : answer,
      ),
  };
}
