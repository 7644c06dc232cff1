import { type ApiKeyQuota, type QuotaType, quotaTypes } from '../../src/domain/api-key-quota.ts';
import type { ApiKeyId, TraceId } from '../../src/domain/ids.ts';
import { type NanoUsd, nano } from '../../src/domain/money.ts';
import { periodAt, type QuotaProjection } from '../../src/domain/quota.ts';
import type {
  Admitted,
  Denied,
  Limit,
  QuotaCheck,
  Remaining,
  RemainingRate,
} from '../../src/hot-state/hot-state.ts';

// What hot state has to decide, written down as plainly as can be: nothing is summed up or cached, every answer is
// counted anew from a log of single requests. It knows neither losses nor repeats.

const bucketMs = 500;
const windowMs = 60_000;

interface Counted {
  amount: number;
  /** In the minute's own time, which never steps back. */
  readonly bucket: number;
}

const leavesAtMs = ({ bucket }: Counted) => (bucket + 1) * bucketMs + windowMs;

/** Everything that counts in one minute's limit. */
class Log {
  all: readonly Counted[] = [];
  #aheadMs = 0;

  ownMs(nowMs: number): number {
    const last = this.all.at(-1);
    if (last === undefined) return nowMs;
    if (Math.floor((nowMs + this.#aheadMs) / bucketMs) < last.bucket)
      this.#aheadMs = last.bucket * bucketMs - nowMs;
    // What has left once never counts again, whatever the clock does.
    this.all = this.counting(nowMs + this.#aheadMs);
    if (this.all.length === 0) this.#aheadMs = 0;
    return nowMs + this.#aheadMs;
  }

  counting(ownMs: number): readonly Counted[] {
    return this.all.filter((one) => leavesAtMs(one) > ownMs);
  }

  count(nowMs: number, amount: number): Counted {
    const counted = { amount, bucket: Math.floor(this.ownMs(nowMs) / bucketMs) };
    this.all = [...this.all, counted];
    return counted;
  }

  sum(ownMs: number): number {
    return this.counting(ownMs).reduce((sum, { amount }) => sum + amount, 0);
  }

  /** By trying every time at which something leaves. */
  fitsInMs(nowMs: number, amount: number, limit: number): number | null {
    if (amount > limit) return null;
    const ownMs = this.ownMs(nowMs);
    const times = [ownMs, ...this.counting(ownMs).map(leavesAtMs)].sort((a, b) => a - b);
    const fitsAtMs = times.find((time) => this.sum(time) + amount <= limit);
    return fitsAtMs === undefined ? null : fitsAtMs - ownMs;
  }

  remaining(nowMs: number, limit: number): RemainingRate {
    const ownMs = this.ownMs(nowMs);
    const sum = this.sum(ownMs);
    const last = this.counting(ownMs).at(-1);
    const resetsInMs = sum === 0 || last === undefined ? 0 : leavesAtMs(last) - ownMs;
    return { limit, remaining: Math.max(0, limit - sum), resetsInMs };
  }
}

interface OpenHold {
  readonly check: QuotaCheck;
  readonly periodDay: string;
  readonly reserved: readonly { readonly log: Log; readonly counted: Counted }[];
}

interface RateLimit {
  readonly name: Limit;
  readonly log: Log;
  readonly amount: number;
  readonly limit: number;
}

export class ReferenceQuota {
  projection: QuotaProjection;
  readonly #open = new Map<TraceId, OpenHold>();
  readonly #logs = new Map<string, Log>();

  constructor(projection: QuotaProjection) {
    this.projection = projection;
  }

  get held(): NanoUsd {
    return nano([...this.#open.values()].reduce((sum, { check }) => sum + check.holdAmount, 0n));
  }

  get open(): readonly TraceId[] {
    return [...this.#open.keys()];
  }

  check(check: QuotaCheck, nowMs: number): Admitted | Denied {
    const rates = this.#rates(check);
    const { day, month } = this.#period(nowMs);
    const asked = { rates, apiKeyId: check.apiKeyId };
    const before = this.#remaining(asked, day, month, nowMs);
    const obstacles = this.#obstacles(check, rates, before, day, nowMs);
    const [first] = obstacles;
    if (first !== undefined) {
      const times = obstacles.map(([, freesInMs]) => freesInMs);
      const freesInMs = times.includes(null) ? null : Math.max(...times.map(Number));
      return { kind: 'denied', limit: first[0], remaining: before, freesInMs };
    }
    const counted = rates.map(({ name, log, amount }) => ({ name, log, counted: log.count(nowMs, amount) }));
    const reserved = counted.filter(({ name }) => name.includes('tokens'));
    this.#open.set(check.traceId, { check, periodDay: day, reserved });
    const remaining = this.#remaining(asked, day, month, nowMs);
    return { kind: 'admitted', periodDay: day, remaining, exceeded: null };
  }

  /** @returns the hold that is given back */
  settle(traceId: TraceId, tokens: number, nowMs: number): OpenHold {
    const hold = this.#open.get(traceId)!;
    this.#open.delete(traceId);
    for (const { log, counted } of hold.reserved) {
      log.ownMs(nowMs);
      counted.amount = tokens;
    }
    return hold;
  }

  #log(name: string): Log {
    const log = this.#logs.get(name) ?? new Log();
    this.#logs.set(name, log);
    return log;
  }

  #rates({ apiKeyId, tokens, limits: { apiKey } }: QuotaCheck): readonly RateLimit[] {
    const { rpmLimit, tpmLimit } = this.projection;
    const all = [
      ['requests_per_minute', 'requests', 1, rpmLimit],
      ['tokens_per_minute', 'tokens', tokens, tpmLimit],
      ['api_key_requests_per_minute', `requests ${apiKeyId}`, 1, apiKey.rpmLimit],
      ['api_key_tokens_per_minute', `tokens ${apiKeyId}`, tokens, apiKey.tpmLimit],
    ] as const;
    return all.flatMap(([name, log, amount, limit]) =>
      limit === null ? [] : [{ name, log: this.#log(log), amount, limit }],
    );
  }

  /** The day and the month in which a request counts: never one that the ledger has closed. */
  #period(nowMs: number) {
    const { timeZone, dailyPeriod } = this.projection;
    const { day } = periodAt(nowMs, timeZone);
    const latest = dailyPeriod !== null && dailyPeriod > day ? dailyPeriod : day;
    return { day: latest, month: latest.slice(0, 7) };
  }

  #remaining(
    { rates, apiKeyId }: { readonly rates: readonly RateLimit[]; readonly apiKeyId: ApiKeyId },
    day: string,
    month: string,
    nowMs: number,
  ): Remaining {
    const { balance, creditLimit, dailyQuota, dailyUsed, dailyPeriod } = this.projection;
    const { monthlyQuota, monthlyUsed, monthlyPeriod } = this.projection;
    const days = [...this.#open.values()].map((hold) => hold.periodDay);
    const usedInDay = (dailyPeriod === day ? dailyUsed : 0) + days.filter((one) => one === day).length;
    const usedInMonth =
      (monthlyPeriod === month ? monthlyUsed : 0) + days.filter((one) => one.startsWith(month)).length;
    const left = (quota: number | null, used: number) => (quota === null ? null : Math.max(0, quota - used));
    const tightest = (what: string) => {
      const all = rates.filter(({ name }) => name.includes(what));
      const left = all.map(({ log, limit }) => log.remaining(nowMs, limit));
      const least = Math.min(...left.map(({ remaining }) => remaining));
      return left.find(({ remaining }) => remaining === least) ?? null;
    };
    return {
      available: nano(balance + creditLimit - this.held),
      dailyRequests: left(dailyQuota, usedInDay),
      monthlyRequests: left(monthlyQuota, usedInMonth),
      requestsPerMinute: tightest('requests'),
      tokensPerMinute: tightest('tokens'),
      apiKey: this.#remainingOfKey(apiKeyId, day),
    };
  }

  #obstacles(
    check: QuotaCheck,
    rates: readonly RateLimit[],
    { available, dailyRequests, monthlyRequests }: Remaining,
    day: string,
    nowMs: number,
  ): readonly (readonly [Limit, freesInMs: number | null])[] {
    const { dayEndsAtMs, monthEndsAtMs } = periodAt(nowMs, this.projection.timeZone);
    const found: (readonly [Limit, number | null])[] = [];
    if (check.holdAmount > available) found.push(['balance', null]);
    if (dailyRequests === 0) found.push(['daily_requests', dayEndsAtMs - nowMs]);
    if (monthlyRequests === 0) found.push(['monthly_requests', monthEndsAtMs - nowMs]);
    for (const { name, log, amount, limit } of rates) {
      const freesInMs = log.fitsInMs(nowMs, amount, limit);
      if (freesInMs !== 0) found.push([name, freesInMs]);
    }
    const wanted = { requests: 1n, tokens: BigInt(check.tokens), amount: check.holdAmount };
    const ends = { daily: dayEndsAtMs - nowMs, monthly: monthEndsAtMs - nowMs, never: null };
    for (const type of quotaTypes) {
      for (const quota of this.#quotas(check.apiKeyId, type)) {
        if (wanted[type] <= this.#left(quota, day)) continue;
        found.push([`api_key_${type}`, wanted[type] > quota.total! ? null : ends[quota.resetPeriod]]);
      }
    }
    if (found.length > 0) return found;
    const { maxOpenRequests, apiKey } = check.limits;
    const ofKey = [...this.#open.values()].filter((hold) => hold.check.apiKeyId === check.apiKeyId);
    if (maxOpenRequests !== null && this.#open.size >= maxOpenRequests) found.push(['open_requests', null]);
    if (apiKey.maxOpenRequests !== null && ofKey.length >= apiKey.maxOpenRequests)
      found.push(['api_key_open_requests', null]);
    return found;
  }

  #quotas(apiKeyId: ApiKeyId, type: QuotaType): readonly ApiKeyQuota[] {
    return this.projection.apiKeyQuotas.filter(
      (quota) => quota.apiKeyId === apiKeyId && quota.quotaType === type,
    );
  }

  /** Every open request of the API key, in whose period it counts, and what the ledger has counted. */
  #left({ apiKeyId, quotaType, resetPeriod, total, used, period }: ApiKeyQuota, day: string): bigint {
    const start = (of: string) =>
      resetPeriod === 'daily' ? of : resetPeriod === 'monthly' ? `${of.slice(0, 7)}-01` : null;
    const open = [...this.#open.values()]
      .filter((hold) => hold.check.apiKeyId === apiKeyId && start(hold.periodDay) === start(day))
      .map(({ check }) => ({ requests: 1n, tokens: BigInt(check.tokens), amount: check.holdAmount }));
    return total! - (period === start(day) ? used : 0n) - open.reduce((sum, one) => sum + one[quotaType], 0n);
  }

  #remainingOfKey(apiKeyId: ApiKeyId, day: string): Remaining['apiKey'] {
    const least = (type: QuotaType) => {
      const left = this.#quotas(apiKeyId, type).map((quota) => this.#left(quota, day));
      return left.sort((a, b) => Number(a - b))[0] ?? null;
    };
    const amount = least('amount');
    return {
      requests: least('requests'),
      tokens: least('tokens'),
      amount: amount === null ? null : nano(amount),
    };
  }
}
