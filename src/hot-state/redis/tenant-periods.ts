import { LRUCache } from 'lru-cache';
import { entriesUpTo } from '../../domain/entries-up-to.ts';
import type { TenantId } from '../../domain/ids.ts';
import { type Period, periodAt } from '../../domain/quota.ts';
import type { OtherPeriod } from './replies.ts';

/** A period and the time from which it is known to be the right one. */
export interface KnownPeriod {
  readonly timeZone: string;
  readonly sinceMs: number;
  readonly period: Period;
}

export interface TenantPeriods {
  /** The period that this tenant's requests count in, as far as this process knows. */
  get(tenantId: TenantId): KnownPeriod | null;
  /** What Redis said the time is. */
  learn(tenantId: TenantId, other: OtherPeriod): KnownPeriod;
}

const maxTenants = 100_000;

/**
 * Redis' clock decides in which day a request counts, and only Node knows time zones: a request is sent with
 * the period known from before, and Redis says when it isn't right. So a process asks twice only for a tenant
 * that it hasn't met and on a new day.
 */
export function createTenantPeriods(): TenantPeriods {
  const timeZones = new LRUCache<TenantId, string>(entriesUpTo(maxTenants));
  const periods = new Map<string, KnownPeriod>();
  return {
    get: (tenantId) => {
      const timeZone = timeZones.get(tenantId);
      return timeZone === undefined ? null : (periods.get(timeZone) ?? null);
    },
    learn: (tenantId, { timeZone, nowMs }) => {
      timeZones.set(tenantId, timeZone);
      const known = { timeZone, sinceMs: nowMs, period: periodAt(nowMs, timeZone) };
      periods.set(timeZone, known);
      return known;
    },
  };
}
