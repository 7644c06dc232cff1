import type { Clock } from '../domain/clock.ts';
import type { TenantId, TraceId, TransactionId } from '../domain/ids.ts';
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
  Denied,
  HoldRef,
  HotState,
  Limit,
  QuotaCheck,
  Remaining,
  Settled,
} from './hot-state.ts';

export interface MemoryHotStateOptions {
  readonly clock: Clock;
  /** Beyond so many, the tenant that was idle longest is forgotten and loaded again when it comes back. */
  readonly maxTenants?: number;
}

interface Hold {
  readonly holder: TransactionId;
  readonly amount: NanoUsd;
  readonly periodDay: string;
}

interface Tenant {
  projection: QuotaProjection;
  /** False between a projection that came first and the snapshot that tells the open holds. */
  loaded: boolean;
  readonly holds: Map<TraceId, Hold>;
  held: bigint;
  /** Open holds by the day they count in. */
  readonly openByDay: Map<string, number>;
}

/**
 * For so long, and for so many, a settled request is recognised: longer than a snapshot takes from the
 * ledger to here. A later repeat is recognised by the ledger.
 */
const settledForMs = 30_000;
const maxSettled = 200_000;

/** Hot state of one process, lost with it: the reference for every other adapter. */
export function createMemoryHotState({ clock, maxTenants = 100_000 }: MemoryHotStateOptions): HotState {
  const periods = cachedPeriods();
  const tenants = new TenantTable(maxTenants);
  const settled = new SettledHolders(clock);

  const settle = (hold: HoldRef) => {
    settled.add(hold.holder);
    const tenant = tenants.get(hold.tenantId);
    if (tenant !== undefined) removeHold(tenant, hold);
  };

  return {
    check: async (check) => checkQuota(check, tenants, settled, periods, clock.now()),
    deduct: async (hold, projection) => {
      settle(hold);
      tenants.project(projection);
    },
    release: async (hold) => settle(hold),
    project: async (projection) => {
      tenants.project(projection);
    },
    load: async ({ projection, openPendings }) => {
      const tenant = tenants.project(projection);
      if (tenant.loaded) return;
      tenant.loaded = true;
      for (const { transactionId, traceId, holdAmount, periodDay } of openPendings) {
        // Settled after the snapshot was taken: its hold would never be released again.
        if (!settled.has(transactionId)) {
          placeHold(tenant, traceId, { holder: transactionId, amount: holdAmount, periodDay });
        }
      }
    },
    look: async (tenantId) => {
      const tenant = tenants.get(tenantId);
      if (tenant === undefined || !tenant.loaded) return undefined;
      return { projection: tenant.projection, held: nano(tenant.held), openHolds: tenant.holds.size };
    },
  };
}

function checkQuota(
  { tenantId, traceId, holder, holdAmount }: QuotaCheck,
  tenants: TenantTable,
  settled: SettledHolders,
  periods: PeriodSource,
  nowMs: number,
): Admitted | Denied | Cold | AlreadyOpen | Settled {
  if (settled.has(holder)) return { kind: 'settled' };
  const tenant = tenants.get(tenantId);
  if (tenant === undefined || !tenant.loaded) return { kind: 'cold' };
  const period = notBefore(tenant.projection.dailyPeriod, periods(nowMs, tenant.projection.timeZone));
  const standing = tenant.holds.get(traceId);
  if (standing !== undefined) {
    if (standing.holder !== holder) return { kind: 'already_open' };
    return { kind: 'admitted', periodDay: standing.periodDay, remaining: remainingOf(tenant, period) };
  }
  const remaining = remainingOf(tenant, period);
  const limit = firstLimit(remaining, holdAmount);
  if (limit !== null) return { kind: 'denied', limit, remaining, freesAtMs: freesAt(limit, period) };
  placeHold(tenant, traceId, { holder, amount: holdAmount, periodDay: period.day });
  return { kind: 'admitted', periodDay: period.day, remaining: remainingOf(tenant, period) };
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
function remainingOf({ projection, held, openByDay }: Tenant, { day, month }: Period): Remaining {
  const { balance, creditLimit, dailyQuota, monthlyQuota } = projection;
  let openInMonth = 0;
  for (const [openDay, count] of openByDay) if (openDay.startsWith(month)) openInMonth += count;
  const openInDay = openByDay.get(day) ?? 0;
  const left = (quota: number | null, used: number) => (quota === null ? null : Math.max(0, quota - used));
  return {
    available: nano(balance + creditLimit - held),
    dailyRequests: left(dailyQuota, usedInDay(projection, day) + openInDay),
    monthlyRequests: left(monthlyQuota, usedInMonth(projection, month) + openInMonth),
  };
}

function placeHold(tenant: Tenant, traceId: TraceId, hold: Hold): void {
  if (tenant.holds.has(traceId)) return;
  tenant.holds.set(traceId, hold);
  tenant.held += hold.amount;
  tenant.openByDay.set(hold.periodDay, (tenant.openByDay.get(hold.periodDay) ?? 0) + 1);
}

function removeHold(tenant: Tenant, { traceId, holder }: HoldRef): void {
  const hold = tenant.holds.get(traceId);
  if (hold?.holder !== holder) return;
  tenant.holds.delete(traceId);
  tenant.held -= hold.amount;
  const open = (tenant.openByDay.get(hold.periodDay) ?? 1) - 1;
  if (open === 0) tenant.openByDay.delete(hold.periodDay);
  else tenant.openByDay.set(hold.periodDay, open);
}

/** Tenants in the order of their last use. */
class TenantTable {
  readonly #tenants = new Map<TenantId, Tenant>();
  readonly #maxTenants: number;

  constructor(maxTenants: number) {
    this.#maxTenants = maxTenants;
  }

  get(tenantId: TenantId): Tenant | undefined {
    const tenant = this.#tenants.get(tenantId);
    if (tenant !== undefined) {
      this.#tenants.delete(tenantId);
      this.#tenants.set(tenantId, tenant);
    }
    return tenant;
  }

  /**
   * Takes a projection if it is newer. For a tenant that isn't here it is kept until the snapshot comes,
   * which may have been taken before it.
   */
  project(projection: QuotaProjection): Tenant {
    const known = this.get(projection.tenantId);
    if (known !== undefined) {
      if (projection.version > known.projection.version) known.projection = projection;
      return known;
    }
    const tenant = { projection, loaded: false, holds: new Map(), held: 0n, openByDay: new Map() };
    this.#tenants.set(projection.tenantId, tenant);
    this.#forgetIdle();
    return tenant;
  }

  #forgetIdle(): void {
    if (this.#tenants.size <= this.#maxTenants) return;
    for (const [tenantId, tenant] of this.#tenants) {
      if (tenant.holds.size > 0) continue;
      this.#tenants.delete(tenantId);
      return;
    }
  }
}

/** Requests settled a short while ago, oldest first. */
class SettledHolders {
  readonly #until = new Map<TransactionId, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(holder: TransactionId): void {
    const now = this.#clock.monotonic();
    for (const [known, until] of this.#until) {
      if (until > now && this.#until.size < maxSettled) break;
      this.#until.delete(known);
    }
    this.#until.set(holder, now + settledForMs);
  }

  has(holder: TransactionId): boolean {
    const until = this.#until.get(holder);
    return until !== undefined && until > this.#clock.monotonic();
  }
}
