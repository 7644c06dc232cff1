import { Fault } from '../../src/domain/errors.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../../src/domain/ids.ts';
import { nano } from '../../src/domain/money.ts';
import type { QuotaProjection } from '../../src/domain/quota.ts';
import type { HotState, LoadTicket, QuotaCheck } from '../../src/hot-state/hot-state.ts';
import type { TenantSnapshot } from '../../src/ledger/ledger.ts';

/** A tenant in UTC with 100 nano and generous quotas. */
export function quotaProjection(changes: Partial<QuotaProjection> = {}): QuotaProjection {
  return {
    tenantId: 'tenant-1' as TenantId,
    version: 1,
    balance: nano(100n),
    creditLimit: nano(0n),
    currency: 'USD',
    timeZone: 'UTC',
    dailyQuota: 1000,
    dailyUsed: 0,
    dailyPeriod: null,
    monthlyQuota: 30_000,
    monthlyUsed: 0,
    monthlyPeriod: null,
    rpmLimit: null,
    tpmLimit: null,
    maxOpenRequests: null,
    blockOnInsufficient: null,
    allowNegative: null,
    streamAllowNegative: null,
    rateMultiplierPpm: 1_000_000n,
    apiKeyQuotas: [],
    ...changes,
  };
}

/** An API key without limits, whose requests are of no tokens. */
export const plainKey = {
  apiKeyId: 'api-key-1' as ApiKeyId,
  tokens: 0,
  limits: { maxOpenRequests: null, apiKey: { rpmLimit: null, tpmLimit: null, maxOpenRequests: null } },
  observe: false,
} satisfies Partial<QuotaCheck>;

const noTicket = '0 none' as LoadTicket;

/** Asks for a ticket and gives it back where the tenant is cold; null where it is loaded. */
export async function ticketFor(hotState: HotState, tenantId: TenantId): Promise<LoadTicket | null> {
  const probe = {
    ...plainKey,
    tenantId,
    traceId: 'probe' as TraceId,
    holder: `probe of ${tenantId}` as TransactionId,
    holdAmount: nano(10n ** 30n),
  };
  const answer = await hotState.check(probe);
  return answer.kind === 'cold' ? answer.ticket : null;
}

/** Loads as the gateway does, with a ticket that is fresh. */
export async function loadTenant(
  hotState: HotState,
  { projection, openPendings = [] }: Partial<TenantSnapshot> & Pick<TenantSnapshot, 'projection'>,
): Promise<void> {
  const ticket = await ticketFor(hotState, projection.tenantId);
  await hotState.load({ kind: 'snapshot', projection, openPendings }, ticket ?? noTicket);
}

/** Hot state that can lose everything, as Redis does with FLUSHALL, and that can be away. */
export function losableHotState(create: () => HotState) {
  let current = create();
  let isAway = false;
  const here = (): HotState => {
    if (isAway) throw new Fault('HOT_STATE_UNAVAILABLE', 'away');
    return current;
  };
  const hotState: HotState = {
    check: async (check) => here().check(check),
    confirm: async (confirmation) => here().confirm(confirmation),
    extend: async (extension) => here().extend(extension),
    deduct: async (hold, projection, tokens) => here().deduct(hold, projection, tokens),
    release: async (hold) => here().release(hold),
    project: async (projection) => here().project(projection),
    load: async (snapshot, ticket) => here().load(snapshot, ticket),
    lockSession: async (lock) => here().lockSession(lock),
    unlockSession: async (lock) => here().unlockSession(lock),
    look: async (tenantId) => here().look(tenantId),
    holds: async (tenantId) => here().holds(tenantId),
    forget: async (tenantId) => here().forget(tenantId),
  };
  return {
    hotState,
    flush: () => {
      current = create();
    },
    goAway: () => {
      isAway = true;
    },
    comeBack: () => {
      isAway = false;
    },
  };
}
