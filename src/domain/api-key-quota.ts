import type { ApiKeyId } from './ids.ts';

/** What a quota of an API key counts: requests, input and output tokens together, or what they cost. */
export const quotaTypes = ['requests', 'tokens', 'amount'] as const;
export type QuotaType = (typeof quotaTypes)[number];

/** The tenant's day, its month, or the API key's whole life. */
export const resetPeriods = ['daily', 'monthly', 'never'] as const;
export type ResetPeriod = (typeof resetPeriods)[number];

/** Which quota of an API key: it has one of each type and period at most. */
export interface ApiKeyQuotaName {
  readonly apiKeyId: ApiKeyId;
  readonly quotaType: QuotaType;
  readonly resetPeriod: ResetPeriod;
}

/** A quota of an API key as the ledger has it at a version of its tenant's row. */
export interface ApiKeyQuota extends ApiKeyQuotaName {
  /** Requests, tokens, or nano; null: the quota was taken away. */
  readonly total: bigint | null;
  readonly used: bigint;
  /** The first day of the period that `used` counts; null before the first request, and for a whole life. */
  readonly period: string | null;
}

/** The first day of the period that a request of this day counts in; null for a whole life. */
export function quotaPeriod(resetPeriod: ResetPeriod, day: string): string | null {
  switch (resetPeriod) {
    case 'daily':
      return day;
    case 'monthly':
      return `${day.slice(0, 7)}-01`;
    case 'never':
      return null;
  }
}

/** What is used of the period in which `day` is; a newer period than it has used nothing of it yet. */
export function usedOf({ resetPeriod, used, period }: ApiKeyQuota, day: string): bigint {
  return period === quotaPeriod(resetPeriod, day) ? used : 0n;
}

/** Whether a request of `openDay` counts in the same period as one of `day`. */
export function isSamePeriod(resetPeriod: ResetPeriod, openDay: string, day: string): boolean {
  return quotaPeriod(resetPeriod, openDay) === quotaPeriod(resetPeriod, day);
}
