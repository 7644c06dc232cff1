import type { Clock } from '../domain/clock.ts';
import type { TenantId } from '../domain/ids.ts';
import { nano } from '../domain/money.ts';
import { cachedPeriods, type Period, type PeriodSource } from '../domain/quota.ts';
import type {
  Admitted,
  AlreadyOpen,
  Cold,
  Confirmation,
  Denied,
  Extended,
  Extension,
  HoldRef,
  HotState,
  NotExtended,
  QuotaCheck,
  Remaining,
  Settled,
} from './hot-state.ts';
import { leastLeft } from './memory/api-keys.ts';
import {
  apiKeyObstacles,
  denialOf,
  type LoadedTenant,
  type Obstacle,
  openObstacles,
  quotaObstacles,
  type Rate,
  rateObstacles,
  ratesOf,
  remainingOf,
} from './memory/limits.ts';
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

  const settle = (hold: HoldRef, tokens: number | null) => {
    settled.add(hold.holder);
    tenants.find(hold.tenantId)?.settle(hold, tokens, clock.now());
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
    check: async (check) => {
      const found = tenantOf(check);
      return found.kind === 'loaded' ? checkQuota(check, askedAbout(found), periods) : found;
    },
    confirm: async (confirmation) => {
      const found = tenantOf(confirmation);
      return found.kind === 'loaded' ? confirmHold(confirmation, askedAbout(found)) : found;
    },
    extend: async (extension) => {
      const found = tenantOf(extension);
      return found.kind === 'loaded' ? extendHold(extension, askedAbout(found)) : found;
    },
    deduct: async (hold, projection, tokens) => {
      settle(hold, tokens);
      get(projection.tenantId).project(projection);
    },
    release: async (hold) => settle(hold, 0),
    project: async (projection) => get(projection.tenantId).project(projection),
    load: async ({ projection, openPendings }, ticket) => {
      const tenant = get(projection.tenantId);
      tenant.project(projection);
      if (tenant.isLoaded || !tickets.isValid(ticket, tenant)) return;
      tenant.isLoaded = true;
      tenant.ticket = null;
      tenant.apiKeys.forgetUpTo(projection.version);
      tenant.apiKeys.project(projection);
      for (const { transactionId, traceId, apiKeyId, holdAmount, holdTokens, periodDay } of openPendings) {
        // Settled after the snapshot was taken: its hold would never be released again.
        if (settled.has(transactionId)) continue;
        const hold: Hold = {
          holder: transactionId,
          amount: holdAmount,
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
      const tenant = tenants.find(tenantId);
      tenant?.dropUnconfirmed(clock.monotonic());
      if (tenant === undefined || !tenant.isLoaded || tenant.projection === null) return undefined;
      const projection = { ...tenant.projection, apiKeyQuotas: tenant.apiKeys.quotas };
      return { projection, held: nano(tenant.held), openHolds: tenant.holds.size };
    },
  };
}

/** A question about a tenant, at one time. */
interface Asked {
  readonly found: LoadedTenant;
  readonly nowMs: number;
  /** Of the clock that never steps back: how long holds stand unconfirmed. */
  readonly monotonicMs: number;
}

function checkQuota(check: QuotaCheck, asked: Asked, periods: PeriodSource): Admitted | Denied | AlreadyOpen {
  const { found, nowMs } = asked;
  const { tenant, projection } = found;
  const period = notBefore(projection.dailyPeriod, periods(nowMs, projection.timeZone));
  const rates = ratesOf(projection, check.limits, check.apiKeyId);
  const remaining = () => remainingOf(found, check.apiKeyId, period, rates, nowMs);
  const standing = tenant.holds.get(check.traceId);
  if (standing !== undefined) {
    if (standing.holder !== check.holder) return { kind: 'already_open' };
    // With its row durable only a late repeat asks.
    if (standing.state !== 'checked') return admitted(standing, remaining());
    const wanted: Hold = { ...standing, amount: check.holdAmount, tokens: check.tokens };
    return decideAmount({ ...check, period, standing, wanted, rates, remaining }, asked);
  }
  const before = remaining();
  const quota = quotaObstacles(before, check.holdAmount, period, nowMs);
  const rated = rateObstacles(found, rates, { requests: 1, tokens: check.tokens }, nowMs);
  const wanted = { requests: 1n, tokens: BigInt(check.tokens), amount: check.holdAmount };
  const ofKey = apiKeyObstacles(found, check.apiKeyId, period, wanted, nowMs);
  const timed = check.observe ? rated : [...quota, ...rated, ...ofKey];
  const denied = denialOf(timed.length > 0 ? timed : openObstacles(found, check), before);
  if (denied !== null) return denied;
  const tokenBuckets = rates.flatMap(({ measure, scope }) => {
    const bucket = tenant.windows.count(measure, scope, nowMs, measure === 'tokens' ? check.tokens : 1);
    return measure === 'tokens' ? [{ scope, bucket }] : [];
  });
  const hold: Hold = {
    holder: check.holder,
    amount: check.holdAmount,
    periodDay: period.day,
    state: 'checked',
    apiKeyId: check.apiKeyId,
    tokens: check.tokens,
    tokenBuckets,
    exceeded: quota[0]?.limit ?? ofKey[0]?.limit ?? null,
  };
  tenant.place(check.traceId, hold, asked.monotonicMs);
  return admitted(hold, remaining());
}

const admitted = ({ periodDay, exceeded }: Hold, remaining: Remaining): Admitted => ({
  kind: 'admitted',
  periodDay,
  remaining,
  exceeded,
});

interface OwnHold extends Pick<QuotaCheck, 'traceId' | 'apiKeyId' | 'observe'> {
  readonly period: Period;
  readonly standing: Hold;
  readonly wanted: Hold;
  readonly rates: readonly Rate[];
  readonly remaining: () => Remaining;
}

/**
 * Its own hold stands, with the amount of an earlier question or of a late repeat of one: what is asked for now
 * counts, if there is enough for the rest. The request itself is counted already.
 */
function decideAmount(
  { traceId, apiKeyId, observe, period, standing, wanted, rates, remaining }: OwnHold,
  { found, nowMs, monotonicMs }: Asked,
): Admitted | Denied {
  const before = remaining();
  const growth = wanted.amount - standing.amount;
  const isTooMuch = growth > 0n && growth > before.available;
  const money: readonly Obstacle[] = isTooMuch ? [{ limit: 'balance', freesInMs: null }] : [];
  const moreTokens = Math.max(0, wanted.tokens - standing.tokens);
  const reserved = rates.filter(
    ({ measure, scope }) =>
      measure === 'tokens' && standing.tokenBuckets.some((counted) => counted.scope === scope),
  );
  const rated =
    moreTokens === 0 ? [] : rateObstacles(found, reserved, { requests: 0, tokens: moreTokens }, nowMs);
  const added = {
    requests: null,
    tokens: moreTokens === 0 ? null : BigInt(moreTokens),
    amount: growth > 0n ? growth : null,
  };
  const ofKey = apiKeyObstacles(found, apiKeyId, period, added, nowMs);
  const denied = denialOf([...(observe ? [] : money), ...rated, ...(observe ? [] : ofKey)], before);
  if (denied !== null) return denied;
  const hold = { ...wanted, exceeded: money[0]?.limit ?? ofKey[0]?.limit ?? standing.exceeded };
  found.tenant.correctTokens(standing, wanted.tokens, nowMs);
  found.tenant.drop(traceId, standing);
  found.tenant.place(traceId, hold, monotonicMs);
  return admitted(hold, remaining());
}

function confirmHold(confirmation: Confirmation, asked: Asked): Admitted | Denied {
  const { traceId, holder, apiKeyId, holdAmount, tokens, periodDay, observe } = confirmation;
  const { found, nowMs } = asked;
  const { tenant } = found;
  const period = { day: periodDay, month: periodDay.slice(0, 7), ...neverEnds };
  const remaining = () => remainingOf(found, apiKeyId, period, [], nowMs);
  const standing = tenant.holds.get(traceId);
  if (standing?.holder === holder && standing.state === 'confirmed') return admitted(standing, remaining());
  if (standing?.holder === holder && standing.state === 'checked') {
    const wanted: Hold = { ...standing, amount: holdAmount, state: 'confirmed' };
    return decideAmount(
      { traceId, apiKeyId, observe, period, standing, wanted, rates: [], remaining },
      asked,
    );
  }
  // What a snapshot brought back was admitted before a loss of hot state, and what was admitted after it knew
  // nothing of this hold: the money may not be enough for both. And another's hold under this trace id has no
  // row, which is unique: it gives way.
  if (standing !== undefined) tenant.drop(traceId, standing);
  const before = remaining();
  const wanted = { requests: 1n, tokens: BigInt(tokens), amount: holdAmount };
  const [obstacle] = [
    ...quotaObstacles(before, holdAmount, period, nowMs),
    ...apiKeyObstacles(found, apiKeyId, period, wanted, nowMs),
  ];
  if (obstacle !== undefined && !observe)
    return { kind: 'denied', limit: obstacle.limit, remaining: before, freesInMs: null };
  const hold: Hold = {
    holder,
    amount: holdAmount,
    periodDay,
    state: 'confirmed',
    apiKeyId,
    tokens,
    tokenBuckets: [],
    exceeded: obstacle?.limit ?? null,
  };
  tenant.place(traceId, hold, asked.monotonicMs);
  return admitted(hold, remaining());
}

/** When the period of a row ends is not asked: whoever's hold was lost begins anew. */
const neverEnds = { dayEndsAtMs: 0, monthEndsAtMs: 0 };

function extendHold(
  { traceId, holder, apiKeyId, holdAmount, tokens, periodDay }: Extension,
  { found: { tenant, projection }, monotonicMs }: Asked,
): Extended | NotExtended {
  const standing = tenant.holds.get(traceId);
  const own = standing?.holder === holder ? standing : undefined;
  const spendable = (): Omit<NotExtended, 'kind'> => {
    const ofTenant = nano(projection.balance + projection.creditLimit - tenant.held);
    const ofKey = leastLeft(tenant.apiKeys.left(apiKeyId, own?.periodDay ?? periodDay)).amount;
    return ofKey === null || ofKey >= ofTenant
      ? { limit: 'balance', available: ofTenant }
      : { limit: 'api_key_amount', available: ofKey };
  };
  const before = spendable();
  const growth = holdAmount - (own?.amount ?? 0n);
  if (own !== undefined && growth <= 0n) return { kind: 'extended', available: before.available };
  if (growth > before.available) return { kind: 'denied', ...before };
  // Another's hold under this trace id has no row, which is unique: it gives way.
  if (standing !== undefined) tenant.drop(traceId, standing);
  const hold: Hold = {
    apiKeyId,
    tokens,
    tokenBuckets: [],
    exceeded: null,
    ...own,
    holder,
    amount: holdAmount,
    periodDay: own?.periodDay ?? periodDay,
    state: 'confirmed',
  };
  tenant.place(traceId, hold, monotonicMs);
  return { kind: 'extended', available: spendable().available };
}

/**
 * A clock that stepped back over midnight, or that of a process behind another's, must not open a day
 * again that the ledger has closed: the request counts in the latest day that is known.
 */
function notBefore(latestDay: string | null, period: Period): Period {
  if (latestDay === null || latestDay <= period.day) return period;
  return { ...period, day: latestDay, month: latestDay.slice(0, 7) };
}
