import { type QuotaType, quotaTypes } from '../../domain/api-key-quota.ts';
import type { ApiKeyId } from '../../domain/ids.ts';
import { type NanoUsd, nano } from '../../domain/money.ts';
import { type Period, type QuotaProjection, usedInDay, usedInMonth } from '../../domain/quota.ts';
import type { CalledLimits, Denied, Limit, QuotaCheck, Remaining, RemainingRate } from '../hot-state.ts';
import { leastLeft } from './api-keys.ts';
import type { Measure, Scope } from './rate-windows.ts';
import type { Tenant } from './tenant.ts';

export interface LoadedTenant {
  readonly kind: 'loaded';
  readonly tenant: Tenant;
  readonly projection: QuotaProjection;
}

/** A limit a minute that is set, of the tenant or of the API key. */
export interface Rate {
  readonly name: Limit;
  readonly measure: Measure;
  readonly scope: Scope;
  readonly limit: number;
}

/** In the order in which they are looked at. */
export function ratesOf(
  { rpmLimit, tpmLimit }: QuotaProjection,
  { apiKey }: CalledLimits,
  apiKeyId: ApiKeyId,
): readonly Rate[] {
  const rates: Rate[] = [];
  const add = (name: Limit, measure: Measure, scope: Scope, limit: number | null) => {
    if (limit !== null) rates.push({ name, measure, scope, limit });
  };
  add('requests_per_minute', 'requests', null, rpmLimit);
  add('tokens_per_minute', 'tokens', null, tpmLimit);
  add('api_key_requests_per_minute', 'requests', apiKeyId, apiKey.rpmLimit);
  add('api_key_tokens_per_minute', 'tokens', apiKeyId, apiKey.tpmLimit);
  return rates;
}

/** A limit that stands in the way, and how long it does; null where no time helps. */
export interface Obstacle {
  readonly limit: Limit;
  readonly freesInMs: number | null;
}

/** Of money, and of requests a day and a month. */
export function quotaObstacles(
  remaining: Remaining,
  holdAmount: NanoUsd,
  { dayEndsAtMs, monthEndsAtMs }: Pick<Period, 'dayEndsAtMs' | 'monthEndsAtMs'>,
  nowMs: number,
): readonly Obstacle[] {
  const { available, dailyRequests, monthlyRequests } = remaining;
  const obstacles: Obstacle[] = [];
  // A tenant that owes more than its credit is stopped even where the request itself is free.
  if (holdAmount > available) obstacles.push({ limit: 'balance', freesInMs: null });
  if (dailyRequests !== null && dailyRequests < 1)
    obstacles.push({ limit: 'daily_requests', freesInMs: dayEndsAtMs - nowMs });
  if (monthlyRequests !== null && monthlyRequests < 1)
    obstacles.push({ limit: 'monthly_requests', freesInMs: monthEndsAtMs - nowMs });
  return obstacles;
}

/** Of requests and tokens a minute. */
export function rateObstacles(
  { tenant }: LoadedTenant,
  rates: readonly Rate[],
  amounts: Readonly<Record<Measure, number>>,
  nowMs: number,
): readonly Obstacle[] {
  return rates.flatMap(({ name, measure, scope, limit }) => {
    const freesInMs = tenant.windows.look(measure, scope).fitsInMs(nowMs, amounts[measure], limit);
    return freesInMs === 0 ? [] : [{ limit: name, freesInMs }];
  });
}

/** What would be reserved besides; null where nothing would, which no quota stands in the way of. */
export type Added = Readonly<Record<QuotaType, bigint | null>>;

/** Of the API key's own quotas. */
export function apiKeyObstacles(
  { tenant }: LoadedTenant,
  apiKeyId: ApiKeyId,
  { day, dayEndsAtMs, monthEndsAtMs }: Pick<Period, 'day' | 'dayEndsAtMs' | 'monthEndsAtMs'>,
  added: Added,
  nowMs: number,
): readonly Obstacle[] {
  const quotas = tenant.apiKeys.left(apiKeyId, day);
  if (quotas.length === 0) return [];
  const endsAtMs = { daily: dayEndsAtMs, monthly: monthEndsAtMs, never: null };
  const found = quotas.flatMap(({ quotaType, resetPeriod, total, left }) => {
    const more = added[quotaType];
    if (more === null || more <= left) return [];
    // What is more than the whole quota doesn't pass in the next period either.
    const endsMs = more > total ? null : endsAtMs[resetPeriod];
    return [{ quotaType, obstacle: { freesInMs: endsMs === null ? null : endsMs - nowMs } }];
  });
  return quotaTypes.flatMap((type) =>
    found
      .filter(({ quotaType }) => quotaType === type)
      .map(({ obstacle }): Obstacle => ({ limit: `api_key_${type}`, ...obstacle })),
  );
}

/** Of requests that are open at once. When one ends isn't known. */
export function openObstacles(
  { tenant }: LoadedTenant,
  { limits, apiKeyId }: Pick<QuotaCheck, 'limits' | 'apiKeyId'>,
): readonly Obstacle[] {
  const { maxOpenRequests, apiKey } = limits;
  const obstacles: Obstacle[] = [];
  if (maxOpenRequests !== null && tenant.holds.size >= maxOpenRequests)
    obstacles.push({ limit: 'open_requests', freesInMs: null });
  if (apiKey.maxOpenRequests !== null && tenant.apiKeys.openRequests(apiKeyId) >= apiKey.maxOpenRequests)
    obstacles.push({ limit: 'api_key_open_requests', freesInMs: null });
  return obstacles;
}

/** The first that stands in the way, and how long until the last of them doesn't any more. */
export function denialOf(obstacles: readonly Obstacle[], remaining: Remaining): Denied | null {
  const [first] = obstacles;
  if (first === undefined) return null;
  const freesInMs = obstacles.reduce<number | null>(
    (latest, obstacle) =>
      latest === null || obstacle.freesInMs === null ? null : Math.max(latest, obstacle.freesInMs),
    0,
  );
  return { kind: 'denied', limit: first.limit, remaining, freesInMs };
}

/** What is left now: open requests count as used. */
export function remainingOf(
  { tenant, projection }: LoadedTenant,
  apiKeyId: ApiKeyId,
  { day, month }: Pick<Period, 'day' | 'month'>,
  rates: readonly Rate[],
  nowMs: number,
): Remaining {
  const { balance, creditLimit, dailyQuota, monthlyQuota } = projection;
  let openInMonth = 0;
  for (const [openDay, count] of tenant.openByDay) if (openDay.startsWith(month)) openInMonth += count;
  const openInDay = tenant.openByDay.get(day) ?? 0;
  const left = (quota: number | null, used: number) => (quota === null ? null : Math.max(0, quota - used));
  const rate = (measure: Measure) =>
    tightest(rates.filter((one) => one.measure === measure).map((one) => remainingRate(tenant, one, nowMs)));
  return {
    available: nano(balance + creditLimit - tenant.held),
    dailyRequests: left(dailyQuota, usedInDay(projection, day) + openInDay),
    monthlyRequests: left(monthlyQuota, usedInMonth(projection, month) + openInMonth),
    requestsPerMinute: rate('requests'),
    tokensPerMinute: rate('tokens'),
    apiKey: leastLeft(tenant.apiKeys.left(apiKeyId, day)),
  };
}

function remainingRate(tenant: Tenant, { measure, scope, limit }: Rate, nowMs: number): RemainingRate {
  const window = tenant.windows.look(measure, scope);
  return {
    limit,
    remaining: Math.max(0, limit - window.totalAt(nowMs)),
    resetsInMs: window.emptiesInMs(nowMs),
  };
}

/** With the least remaining; the tenant's own where both have as much. */
function tightest(rates: readonly RemainingRate[]): RemainingRate | null {
  return rates.reduce<RemainingRate | null>(
    (least, rate) => (least === null || rate.remaining < least.remaining ? rate : least),
    null,
  );
}
