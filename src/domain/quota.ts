import { Temporal } from 'temporal-polyfill';
import type { ApiKeyQuota } from './api-key-quota.ts';
import type { TenantId } from './ids.ts';
import type { NanoUsd } from './money.ts';

/** The day and the month of a moment in a tenant's time zone, and when each ends. */
export interface Period {
  /** ISO date in the tenant's time zone, for instance "2026-11-23". */
  readonly day: string;
  /** ISO year and month in the tenant's time zone, for instance "2026-11". */
  readonly month: string;
  readonly dayEndsAtMs: number;
  readonly monthEndsAtMs: number;
}

/**
 * The quota-relevant facts of a tenant as the ledger has them at `version`. Hot state replaces an
 * older one by a newer one and never adds to it.
 */
export interface QuotaProjection {
  readonly tenantId: TenantId;
  /** Grows by at least one with every change of the tenant's row. */
  readonly version: number;
  readonly balance: NanoUsd;
  readonly creditLimit: NanoUsd;
  readonly currency: string;
  readonly timeZone: string;
  /** Requests a day; null is unlimited. */
  readonly dailyQuota: number | null;
  readonly dailyUsed: number;
  /** The day that `dailyUsed` counts; null before the first request. In another day, nothing is used yet. */
  readonly dailyPeriod: string | null;
  readonly monthlyQuota: number | null;
  readonly monthlyUsed: number;
  readonly monthlyPeriod: string | null;
  /** Requests a minute; null is unlimited. */
  readonly rpmLimit: number | null;
  /** Tokens a minute; null is unlimited. */
  readonly tpmLimit: number | null;
  /** What the tenant pays of the listed price, in parts per million. */
  readonly rateMultiplierPpm: bigint;
  /** Requests that may be open at once; null is unlimited. */
  readonly maxOpenRequests: number | null;
  /** Whether limits of money and of requests a day and a month deny; null: as the environment says. */
  readonly blockOnInsufficient: boolean | null;
  /** Whether what is not a stream, and what is one, may overdraw; null: as the environment says. */
  readonly allowNegative: boolean | null;
  readonly streamAllowNegative: boolean | null;
  /** Of the quotas of its API keys, those that are told here: each in place of its own older version. */
  readonly apiKeyQuotas: readonly ApiKeyQuota[];
}

export function periodAt(nowMs: number, timeZone: string): Period {
  const zoned = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(timeZone);
  const date = zoned.toPlainDate();
  // Midnight may not exist on a day when the clock steps: the day starts at its first moment.
  const startOf = (day: Temporal.PlainDate) => day.toZonedDateTime(timeZone).epochMilliseconds;
  return {
    day: date.toString(),
    month: date.toPlainYearMonth().toString(),
    dayEndsAtMs: startOf(date.add({ days: 1 })),
    monthEndsAtMs: startOf(date.with({ day: 1 }).add({ months: 1 })),
  };
}

/** Whether the time zone is one that this runtime knows, for instance "Europe/Berlin". */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export type PeriodSource = (nowMs: number, timeZone: string) => Period;

/** `periodAt` with the last answer per time zone kept until its day ends or the clock steps back before it. */
export function cachedPeriods(): PeriodSource {
  const known = new Map<string, { sinceMs: number; period: Period }>();
  return (nowMs, timeZone) => {
    const entry = known.get(timeZone);
    if (entry !== undefined && nowMs >= entry.sinceMs && nowMs < entry.period.dayEndsAtMs)
      return entry.period;
    const period = periodAt(nowMs, timeZone);
    known.set(timeZone, { sinceMs: nowMs, period });
    return period;
  };
}

export function usedInDay(projection: QuotaProjection, day: string): number {
  return projection.dailyPeriod === day ? projection.dailyUsed : 0;
}

export function usedInMonth(projection: QuotaProjection, month: string): number {
  return projection.monthlyPeriod === month ? projection.monthlyUsed : 0;
}
