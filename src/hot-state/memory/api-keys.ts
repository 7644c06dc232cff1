import {
  type ApiKeyQuota,
  isSamePeriod,
  type QuotaType,
  type ResetPeriod,
  usedOf,
} from '../../domain/api-key-quota.ts';
import type { ApiKeyId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import type { RemainingOfApiKey, ReservedByKey } from '../hot-state.ts';

/** What a quota that is set has left: below zero where open requests exceed it. */
export interface QuotaLeft {
  readonly quotaType: QuotaType;
  readonly resetPeriod: ResetPeriod;
  readonly total: bigint;
  readonly left: bigint;
}

/** What open requests keep free. */
type Reserved = Readonly<Record<QuotaType, bigint>>;

interface Reservation {
  readonly apiKeyId: ApiKeyId;
  readonly periodDay: string;
  readonly tokens: number;
  readonly amount: bigint;
}

interface KnownQuota {
  readonly version: number;
  readonly quota: ApiKeyQuota;
}

const noQuotas: readonly QuotaLeft[] = [];

const nothing: Reserved = { requests: 0n, tokens: 0n, amount: 0n };

/** The API keys of one tenant: their quotas, and what their open requests keep free of them. */
export class ApiKeys {
  /** By type and period. One that was taken away stays, so that an older projection doesn't bring it back. */
  readonly #quotas = new Map<ApiKeyId, Map<string, KnownQuota>>();
  readonly #reserved = new Map<ApiKeyId, Map<string, Reserved>>();

  project({ version, apiKeyQuotas }: QuotaProjection): void {
    for (const quota of apiKeyQuotas) {
      const name = `${quota.quotaType} ${quota.resetPeriod}`;
      const ofKey = this.#quotas.get(quota.apiKeyId) ?? new Map<string, KnownQuota>();
      this.#quotas.set(quota.apiKeyId, ofKey);
      const known = ofKey.get(name);
      if (known === undefined || known.version < version) ofKey.set(name, { version, quota });
    }
  }

  forget(): void {
    this.#quotas.clear();
  }

  /** Before a snapshot is loaded, which tells all quotas that there were at its version, and all open requests. */
  beginAnew(version: number): void {
    this.#reserved.clear();
    for (const [apiKeyId, ofKey] of this.#quotas) {
      for (const [name, known] of ofKey) if (known.version <= version) ofKey.delete(name);
      if (ofKey.size === 0) this.#quotas.delete(apiKeyId);
    }
  }

  open(hold: Reservation): void {
    this.#reserve(hold, 1n);
  }

  close(hold: Reservation): void {
    this.#reserve(hold, -1n);
  }

  openRequests(apiKeyId: ApiKeyId): number {
    const days = [...(this.#reserved.get(apiKeyId)?.values() ?? [])];
    return Number(days.reduce((sum, { requests }) => sum + requests, 0n));
  }

  /** Of the quotas that are set, by type and then by period. */
  left(apiKeyId: ApiKeyId, day: string): readonly QuotaLeft[] {
    // Most have none, and every check asks.
    if (!this.#quotas.has(apiKeyId)) return noQuotas;
    const reserved = [...(this.#reserved.get(apiKeyId) ?? [])];
    return this.#set(apiKeyId).map((quota) => {
      const { quotaType, resetPeriod, total } = quota;
      const open = reserved
        .filter(([openDay]) => isSamePeriod(resetPeriod, openDay, day))
        .reduce((sum, [, ofDay]) => sum + ofDay[quotaType], 0n);
      return { quotaType, resetPeriod, total, left: total - usedOf(quota, day) - open };
    });
  }

  get reserved(): readonly ReservedByKey[] {
    return [...this.#reserved].flatMap(([apiKeyId, days]) =>
      [...days].map(([periodDay, { requests, tokens, amount }]) => ({
        apiKeyId,
        periodDay,
        requests,
        tokens,
        amount: nano(amount),
      })),
    );
  }

  get quotas(): readonly ApiKeyQuota[] {
    return [...this.#quotas.keys()].sort().flatMap((apiKeyId) => this.#set(apiKeyId));
  }

  #set(apiKeyId: ApiKeyId): readonly (ApiKeyQuota & { readonly total: bigint })[] {
    const known = [...(this.#quotas.get(apiKeyId)?.entries() ?? [])];
    return known
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([, { quota }]) => (quota.total === null ? [] : [{ ...quota, total: quota.total }]));
  }

  #reserve({ apiKeyId, periodDay, tokens, amount }: Reservation, times: 1n | -1n): void {
    const days = this.#reserved.get(apiKeyId) ?? new Map<string, Reserved>();
    this.#reserved.set(apiKeyId, days);
    const before = days.get(periodDay) ?? nothing;
    const after: Reserved = {
      requests: before.requests + times,
      tokens: before.tokens + times * BigInt(tokens),
      amount: before.amount + times * amount,
    };
    if (after.requests === 0n) days.delete(periodDay);
    else days.set(periodDay, after);
    if (days.size === 0) this.#reserved.delete(apiKeyId);
  }
}

const unlimited: RemainingOfApiKey = { requests: null, tokens: null, amount: null };

/** The least of each type. */
export function leastLeft(quotas: readonly QuotaLeft[]): RemainingOfApiKey {
  if (quotas.length === 0) return unlimited;
  const least = (quotaType: QuotaType) =>
    quotas.reduce<bigint | null>(
      (least, one) =>
        one.quotaType === quotaType && (least === null || one.left < least) ? one.left : least,
      null,
    );
  const amount = least('amount');
  return {
    requests: least('requests'),
    tokens: least('tokens'),
    amount: amount === null ? null : nano(amount),
  };
}
