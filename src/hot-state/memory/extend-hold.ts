import { nano } from '../../domain/money.ts';
import type { Extended, Extension, NotExtended } from '../hot-state.ts';
import { leastLeft } from './api-keys.ts';
import type { Asked } from './check-quota.ts';
import type { Hold } from './tenant.ts';

/** Enlarges a hold as far as its tenant and its API key can pay for it. */
export function extendHold(
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
