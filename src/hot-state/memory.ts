import { randomUUID } from 'node:crypto';
import type { Clock } from '../domain/clock.ts';
import type { TraceId } from '../domain/ids.ts';
import { type NanoUsd, nano } from '../domain/money.ts';
import {
  cachedPeriods,
  type Period,
  type PeriodSource,
  type QuotaProjection,
  usedInDay,
  usedInMonth,
} from '../domain/quota.ts';
import type {
  Admitted,
  AlreadyOpen,
  Cold,
  Confirmation,
  Denied,
  Extended,
  HoldRef,
  HotState,
  Limit,
  LoadTicket,
  NotExtended,
  QuotaCheck,
  Remaining,
  Settled,
} from './hot-state.ts';
import { SettledHolders } from './memory/settled-holders.ts';
import { type Hold, type Tenant, TenantTable } from './memory/tenant.ts';

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
  const tickets = ticketSource(clock);

  const settle = (hold: HoldRef) => {
    settled.add(hold.holder);
    tenants.find(hold.tenantId)?.settle(hold);
  };

  /** The tenant as it is now, or why there is nothing to decide. */
  function tenantOf({ tenantId, holder }: HoldRef): LoadedTenant | Cold | Settled {
    if (settled.has(holder)) return { kind: 'settled' };
    const tenant = tenants.get(tenantId);
    tenant.dropUnconfirmed(clock.monotonic());
    const { projection, isLoaded } = tenant;
    if (isLoaded && projection !== null) return { kind: 'loaded', tenant, projection };
    return { kind: 'cold', ticket: tickets.give(tenant) };
  }

  return {
    check: async (check) => {
      const found = tenantOf(check);
      return found.kind === 'loaded' ? checkQuota(check, found, periods, clock) : found;
    },
    confirm: async (confirmation) => {
      const found = tenantOf(confirmation);
      return found.kind === 'loaded' ? confirmHold(confirmation, found, clock) : found;
    },
    extend: async (extension) => {
      const found = tenantOf(extension);
      return found.kind === 'loaded' ? extendHold(extension, found, clock) : found;
    },
    deduct: async (hold, projection) => {
      settle(hold);
      tenants.get(projection.tenantId).project(projection);
    },
    release: async (hold) => settle(hold),
    project: async (projection) => tenants.get(projection.tenantId).project(projection),
    load: async ({ projection, openPendings }, ticket) => {
      const tenant = tenants.get(projection.tenantId);
      tenant.project(projection);
      if (tenant.isLoaded || !tickets.isValid(ticket, tenant)) return;
      tenant.isLoaded = true;
      tenant.ticket = null;
      for (const { transactionId, traceId, holdAmount, periodDay } of openPendings) {
        // Settled after the snapshot was taken: its hold would never be released again.
        if (settled.has(transactionId)) continue;
        const hold = { holder: transactionId, amount: holdAmount, periodDay, state: 'loaded' } as const;
        tenant.place(traceId, hold, clock.monotonic());
      }
    },
    look: async (tenantId) => {
      const tenant = tenants.find(tenantId);
      tenant?.dropUnconfirmed(clock.monotonic());
      if (tenant === undefined || !tenant.isLoaded || tenant.projection === null) return undefined;
      return { projection: tenant.projection, held: nano(tenant.held), openHolds: tenant.holds.size };
    },
  };
}

/** A snapshot that took longer is not loaded: what was settled in between may be forgotten. */
const loadWithinMs = 20_000;

/** A ticket is lost with its tenant, and says when it was asked for. */
function ticketSource(clock: Clock) {
  // Of another life of this process, or of a test, there may be tickets too.
  const life = randomUUID();
  let given = 0;
  return {
    give: (tenant: Tenant): LoadTicket => {
      tenant.ticket ??= `${life}:${++given}`;
      return `${clock.monotonic()} ${tenant.ticket}` as LoadTicket;
    },
    isValid: (ticket: LoadTicket, tenant: Tenant): boolean => {
      const [givenMs, name] = ticket.split(' ', 2);
      return name === tenant.ticket && clock.monotonic() - Number(givenMs) <= loadWithinMs;
    },
  };
}

interface LoadedTenant {
  readonly kind: 'loaded';
  readonly tenant: Tenant;
  readonly projection: QuotaProjection;
}

function checkQuota(
  { traceId, holder, holdAmount }: QuotaCheck,
  found: LoadedTenant,
  periods: PeriodSource,
  clock: Clock,
): Admitted | Denied | AlreadyOpen {
  const { tenant, projection } = found;
  const period = notBefore(projection.dailyPeriod, periods(clock.now(), projection.timeZone));
  const standing = tenant.holds.get(traceId);
  if (standing !== undefined) {
    if (standing.holder !== holder) return { kind: 'already_open' };
    // With its row durable only a late repeat asks.
    if (standing.state === 'checked') {
      return decideAmount(
        { traceId, standing, wanted: { ...standing, amount: holdAmount }, period },
        found,
        clock,
      );
    }
    return { kind: 'admitted', periodDay: standing.periodDay, remaining: remainingOf(found, period) };
  }
  const remaining = remainingOf(found, period);
  const limit = firstLimit(remaining, holdAmount);
  if (limit !== null) return { kind: 'denied', limit, remaining, freesAtMs: freesAt(limit, period) };
  const hold: Hold = { holder, amount: holdAmount, periodDay: period.day, state: 'checked' };
  tenant.place(traceId, hold, clock.monotonic());
  return { kind: 'admitted', periodDay: period.day, remaining: remainingOf(found, period) };
}

interface OwnHold {
  readonly traceId: TraceId;
  readonly standing: Hold;
  readonly wanted: Hold;
  readonly period: Pick<Period, 'day' | 'month'>;
}

/**
 * Its own hold stands, with the amount of an earlier question or of a late repeat of one: what is asked for now
 * counts, if the money is there for the rest. The request itself is counted already.
 */
function decideAmount(
  { traceId, standing, wanted, period }: OwnHold,
  found: LoadedTenant,
  clock: Clock,
): Admitted | Denied {
  const growth = wanted.amount - standing.amount;
  const remaining = remainingOf(found, period);
  if (growth > 0n && growth > remaining.available) {
    return { kind: 'denied', limit: 'balance', remaining, freesAtMs: null };
  }
  found.tenant.drop(traceId, standing);
  found.tenant.place(traceId, wanted, clock.monotonic());
  return { kind: 'admitted', periodDay: wanted.periodDay, remaining: remainingOf(found, period) };
}

function confirmHold(
  { traceId, holder, holdAmount, periodDay }: Confirmation,
  found: LoadedTenant,
  clock: Clock,
): Admitted | Denied {
  const { tenant } = found;
  const period = { day: periodDay, month: periodDay.slice(0, 7) };
  const standing = tenant.holds.get(traceId);
  if (standing?.holder === holder && standing.state === 'confirmed') {
    return { kind: 'admitted', periodDay: standing.periodDay, remaining: remainingOf(found, period) };
  }
  if (standing?.holder === holder && standing.state === 'checked') {
    const wanted: Hold = { ...standing, amount: holdAmount, state: 'confirmed' };
    return decideAmount({ traceId, standing, wanted, period }, found, clock);
  }
  // What a snapshot brought back was admitted before a loss of hot state, and what was admitted after it knew
  // nothing of this hold: the money may not be enough for both. And another's hold under this trace id has no
  // row, which is unique: it gives way.
  if (standing !== undefined) tenant.drop(traceId, standing);
  const remaining = remainingOf(found, period);
  const limit = firstLimit(remaining, holdAmount);
  if (limit !== null) return { kind: 'denied', limit, remaining, freesAtMs: null };
  tenant.place(traceId, { holder, amount: holdAmount, periodDay, state: 'confirmed' }, clock.monotonic());
  return { kind: 'admitted', periodDay, remaining: remainingOf(found, period) };
}

function extendHold(
  { traceId, holder, holdAmount, periodDay }: Confirmation,
  { tenant, projection }: LoadedTenant,
  clock: Clock,
): Extended | NotExtended {
  const standing = tenant.holds.get(traceId);
  const own = standing?.holder === holder ? standing : undefined;
  const available = nano(projection.balance + projection.creditLimit - tenant.held);
  const growth = holdAmount - (own?.amount ?? 0n);
  if (own !== undefined && growth <= 0n) return { kind: 'extended', available };
  if (growth > available) return { kind: 'denied', available };
  // Another's hold under this trace id has no row, which is unique: it gives way.
  if (standing !== undefined) tenant.drop(traceId, standing);
  const hold = {
    holder,
    amount: holdAmount,
    periodDay: own?.periodDay ?? periodDay,
    state: 'confirmed',
  } as const;
  tenant.place(traceId, hold, clock.monotonic());
  return { kind: 'extended', available: nano(projection.balance + projection.creditLimit - tenant.held) };
}

/**
 * A clock that stepped back over midnight, or that of a process behind another's, must not open a day
 * again that the ledger has closed: the request counts in the latest day that is known.
 */
function notBefore(latestDay: string | null, period: Period): Period {
  if (latestDay === null || latestDay <= period.day) return period;
  return { ...period, day: latestDay, month: latestDay.slice(0, 7) };
}

function firstLimit(remaining: Remaining, holdAmount: NanoUsd): Limit | null {
  // A tenant that owes more than its credit is stopped even where the request itself is free.
  if (holdAmount > remaining.available) return 'balance';
  if (remaining.dailyRequests !== null && remaining.dailyRequests < 1) return 'daily_requests';
  if (remaining.monthlyRequests !== null && remaining.monthlyRequests < 1) return 'monthly_requests';
  return null;
}

function freesAt(limit: Limit, period: Period): number | null {
  switch (limit) {
    case 'balance':
      return null;
    case 'daily_requests':
      return period.dayEndsAtMs;
    case 'monthly_requests':
      return period.monthEndsAtMs;
  }
}

/** What is left now: open requests count as used. */
function remainingOf(
  { tenant, projection }: LoadedTenant,
  { day, month }: Pick<Period, 'day' | 'month'>,
): Remaining {
  const { balance, creditLimit, dailyQuota, monthlyQuota } = projection;
  let openInMonth = 0;
  for (const [openDay, count] of tenant.openByDay) if (openDay.startsWith(month)) openInMonth += count;
  const openInDay = tenant.openByDay.get(day) ?? 0;
  const left = (quota: number | null, used: number) => (quota === null ? null : Math.max(0, quota - used));
  return {
    available: nano(balance + creditLimit - tenant.held),
    dailyRequests: left(dailyQuota, usedInDay(projection, day) + openInDay),
    monthlyRequests: left(monthlyQuota, usedInMonth(projection, month) + openInMonth),
  };
}
