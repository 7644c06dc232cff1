import type { Confirmation, Confirmed, Denied } from '../hot-state.ts';
import { type Asked, decideAmount } from './check-quota.ts';
import { apiKeyObstacles, quotaObstacles, remainingOf } from './limits.ts';
import type { Hold } from './tenant.ts';

/** When the period of a row ends is not asked: whoever's hold was lost begins anew. */
const neverEnds = { dayEndsAtMs: 0, monthEndsAtMs: 0 };

const confirmed = { kind: 'confirmed' } as const;

/** Makes a hold stay, or places it anew where it was lost and every limit still allows. */
export function confirmHold(confirmation: Confirmation, asked: Asked): Confirmed | Denied {
  const { traceId, holder, apiKeyId, holdAmount, tokens, periodDay, observe } = confirmation;
  const { found, nowMs } = asked;
  const { tenant } = found;
  const period = { day: periodDay, month: periodDay.slice(0, 7), ...neverEnds };
  const remaining = () => remainingOf(found, apiKeyId, period, [], nowMs);
  const standing = tenant.holds.get(traceId);
  if (standing?.holder === holder && standing.state === 'confirmed') return confirmed;
  if (standing?.holder === holder && standing.state === 'checked') {
    // As it nearly always is: what was admitted needs no second decision.
    if (standing.amount === holdAmount) {
      tenant.confirm(traceId, standing);
      return confirmed;
    }
    const wanted: Hold = { ...standing, amount: holdAmount, state: 'confirmed' };
    const own = { traceId, apiKeyId, observe, period, standing, wanted, rates: [], remaining };
    const answer = decideAmount(own, asked);
    return answer.kind === 'admitted' ? confirmed : answer;
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
  return confirmed;
}
