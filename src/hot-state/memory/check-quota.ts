import type { Period, PeriodSource } from '../../domain/quota.ts';
import type { Admitted, AlreadyOpen, Denied, QuotaCheck, Remaining } from '../hot-state.ts';
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
} from './limits.ts';
import type { Hold } from './tenant.ts';

/** A question about a tenant, at one time. */
export interface Asked {
  readonly found: LoadedTenant;
  readonly nowMs: number;
  /** Of the clock that never steps back: how long holds stand unconfirmed. */
  readonly monotonicMs: number;
}

/** Decides over all limits at once; one that denies has changed nothing. */
export function checkQuota(
  check: QuotaCheck,
  asked: Asked,
  periods: PeriodSource,
): Admitted | Denied | AlreadyOpen {
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

export const admitted = ({ periodDay, exceeded }: Hold, remaining: Remaining): Admitted => ({
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
export function decideAmount(
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

/**
 * A clock that stepped back over midnight, or that of a process behind another's, must not open a day
 * again that the ledger has closed: the request counts in the latest day that is known.
 */
function notBefore(latestDay: string | null, period: Period): Period {
  if (latestDay === null || latestDay <= period.day) return period;
  return { ...period, day: latestDay, month: latestDay.slice(0, 7) };
}
