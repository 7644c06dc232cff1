import { loadTenant, plainKey, quotaProjection } from '../../../test/support/hot-state.ts';
import type { Clock } from '../../domain/clock.ts';
import type { TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import type { TenantSnapshot } from '../../ledger/ledger.ts';
import type { HotState } from '../hot-state.ts';

export const tenantId = 'tenant-1' as TenantId;
export const trace = (name: string | number) => `trace-${name}` as TraceId;
export const holder = (name: string | number) => `transaction-${name}` as TransactionId;
export const hold = (name: string | number) => ({
  ...plainKey,
  tenantId,
  traceId: trace(name),
  holder: holder(name),
});

/** As a snapshot tells a request of a day that is open. */
export const pendingOf = (name: string | number, amount: bigint): TenantSnapshot['openPendings'][number] => ({
  transactionId: holder(name),
  apiKeyId: plainKey.apiKeyId,
  traceId: trace(name),
  holdAmount: nano(amount),
  holdTokens: 0,
  periodDay: '2026-11-23',
});

export const unlimited = {
  requestsPerMinute: null,
  tokensPerMinute: null,
  apiKey: { requests: null, tokens: null, amount: null },
};

/** Makes hot states for the clock that they have to follow. */
export type CreateHotState = (clock: Clock) => Promise<HotState>;

/** A hot state whose clock a test sets. */
export function givenHotState(create: CreateHotState) {
  const time = { nowMs: 0 };
  const clock: Clock = { now: () => time.nowMs, monotonic: () => time.nowMs };
  return {
    time,
    clock,
    loaded: async (changes: Partial<QuotaProjection> = {}): Promise<HotState> => {
      time.nowMs = Date.parse('2026-11-23T12:00:00Z');
      const hotState = await create(clock);
      await loadTenant(hotState, { projection: quotaProjection(changes) });
      return hotState;
    },
    check: (hotState: HotState, name: string | number, amount: bigint) =>
      hotState.check({ ...hold(name), holdAmount: nano(amount) }),
  };
}
