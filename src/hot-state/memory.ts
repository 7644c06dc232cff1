import type { Clock } from '../domain/clock.ts';
import type { TenantId, TransactionId } from '../domain/ids.ts';
import { type NanoUsd, nano } from '../domain/money.ts';
import { cachedPeriods } from '../domain/quota.ts';
import type { Cold, HoldRef, HotState, Settled } from './hot-state.ts';
import { type Asked, checkQuota } from './memory/check-quota.ts';
import { confirmHold } from './memory/confirm-hold.ts';
import { extendHold } from './memory/extend-hold.ts';
import type { LoadedTenant } from './memory/limits.ts';
import { Sessions } from './memory/sessions.ts';
import { SettledHolders } from './memory/settled-holders.ts';
import { type Hold, TenantTable } from './memory/tenant.ts';
import { ticketSource } from './memory/tickets.ts';

export interface MemoryHotStateOptions {
  readonly clock: Clock;
  /** Beyond so many, the tenant that was idle longest is forgotten and loaded again when it comes back. */
  readonly maxTenants?: number;
}

/** Hot state of one process, lost with it: the reference for every other adapter. */
export function createMemoryHotState({ clock, maxTenants = 100_000 }: MemoryHotStateOptions): HotState {
  const periods = cachedPeriods();
  const tenants = new TenantTable(maxTenants);
  const settled = new SettledHolders(clock);
  const sessions = new Sessions(clock);
  const tickets = ticketSource(clock);

  const get = (tenantId: TenantId) => tenants.get(tenantId, clock.now());

  /** Undefined when cold. */
  const open = (tenantId: TenantId) => {
    const tenant = tenants.find(tenantId);
    tenant?.dropUnconfirmed(clock.monotonic());
    if (tenant === undefined || !tenant.isLoaded || tenant.projection === null) return undefined;
    return { tenant, projection: { ...tenant.projection, apiKeyQuotas: tenant.apiKeys.quotas } };
  };

  const askedAbout = (found: LoadedTenant): Asked => ({
    found,
    nowMs: clock.now(),
    monotonicMs: clock.monotonic(),
  });

  /** The tenant as it is now, or why there is nothing to decide. */
  function tenantOf({ tenantId, holder }: HoldRef): LoadedTenant | Cold | Settled {
    if (settled.has(holder)) return { kind: 'settled' };
    const tenant = get(tenantId);
    tenant.dropUnconfirmed(clock.monotonic());
    const { projection, isLoaded } = tenant;
    if (isLoaded && projection !== null) return { kind: 'loaded', tenant, projection };
    return { kind: 'cold', ticket: tickets.give(tenant) };
  }

  return {
    check: (check) => {
      const found = tenantOf(check);
      return found.kind === 'loaded' ? checkQuota(check, askedAbout(found), periods) : found;
    },
    confirm: (confirmation) => {
      const found = tenantOf(confirmation);
      return found.kind === 'loaded' ? confirmHold(confirmation, askedAbout(found)) : found;
    },
    extend: async (extension) => {
      const found = tenantOf(extension);
      return found.kind === 'loaded' ? extendHold(extension, askedAbout(found)) : found;
    },
    deduct: (hold, projection, tokens) => {
      settled.add(hold.holder);
      const tenant = get(projection.tenantId);
      tenant.settle(hold, tokens, clock.now());
      tenant.project(projection);
    },
    release: async (hold) => {
      settled.add(hold.holder);
      tenants.find(hold.tenantId)?.settle(hold, 0, clock.now());
    },
    project: async (projection) => get(projection.tenantId).project(projection),
    load: async ({ projection, openPendings }, ticket) => {
      const tenant = get(projection.tenantId);
      tenant.project(projection);
      if (tenant.isLoaded || !tickets.isValid(ticket, tenant)) return;
      const before = tenant.beginAnew(projection.version);
      tenant.apiKeys.project(projection);
      for (const { transactionId, traceId, apiKeyId, holdAmount, holdTokens, periodDay } of openPendings) {
        // Settled after the snapshot was taken: its hold would never be released again.
        if (settled.has(transactionId)) continue;
        const hold: Hold = {
          holder: transactionId,
          amount: grown(holdAmount, transactionId, before.get(traceId)),
          periodDay,
          state: 'loaded',
          apiKeyId,
          tokens: holdTokens,
          tokenBuckets: [],
          exceeded: null,
        };
        tenant.place(traceId, hold, clock.monotonic());
      }
    },
    lockSession: async (lock) => sessions.lock(lock),
    unlockSession: async (lock) => sessions.unlock(lock),
    look: async (tenantId) => {
      const found = open(tenantId);
      if (found === undefined) return undefined;
      const { tenant, projection } = found;
      return { projection, held: nano(tenant.held), openHolds: tenant.holds.size };
    },
    holds: async (tenantId) => {
      const found = open(tenantId);
      if (found === undefined) return undefined;
      return { projection: found.projection, holds: found.tenant.standing, sums: found.tenant.sums };
    },
    forget: async (tenantId) => tenants.find(tenantId)?.forget(),
  };
}

/** The row says with what a hold began. */
function grown(rowAmount: NanoUsd, holder: TransactionId, before: Hold | undefined): NanoUsd {
  return before?.holder === holder && before.amount > rowAmount ? before.amount : rowAmount;
}
