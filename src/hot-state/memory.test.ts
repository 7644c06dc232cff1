import { expect, it } from 'vitest';
import { loadTenant, plainKey, quotaProjection } from '../../test/support/hot-state.ts';
import type { Clock } from '../domain/clock.ts';
import type { TenantId, TransactionId } from '../domain/ids.ts';
import { nano } from '../domain/money.ts';
import { describeHotState } from './hot-state.contract.ts';
import { createMemoryHotState } from './memory.ts';

describeHotState('memory', async (clock) => createMemoryHotState({ clock }));

it('forgets only tenants without open holds when there are too many', async () => {
  const clock: Clock = { now: () => 0, monotonic: () => 0 };
  const hotState = createMemoryHotState({ clock, maxTenants: 2 });
  const tenants = ['busy', 'idle', 'new'] as TenantId[];
  for (const tenantId of tenants) {
    await loadTenant(hotState, { projection: quotaProjection({ tenantId }) });
    if (tenantId === 'busy')
      await hotState.check({
        tenantId,
        ...plainKey,
        traceId: 'open' as never,
        holder: 'open' as never,
        holdAmount: nano(1n),
      });
  }
  expect(await Promise.all(tenants.map((tenantId) => hotState.look(tenantId)))).toMatchObject([
    { openHolds: 1 },
    undefined,
    { openHolds: 0 },
  ]);
});

it('takes a session back from a request that nobody renewed it for', async () => {
  let nowMs = 0;
  const hotState = createMemoryHotState({ clock: { now: () => nowMs, monotonic: () => nowMs } });
  const lock = { tenantId: 'a' as TenantId, sessionId: 's', holder: 'one' as TransactionId };
  const other = { ...lock, holder: 'two' as TransactionId };
  expect(await hotState.lockSession(lock)).toBe(true);
  nowMs += 10_000;
  expect(await hotState.lockSession(lock)).toBe(true);
  nowMs += 14_999;
  expect(await hotState.lockSession(other)).toBe(false);
  nowMs += 1;
  expect(await hotState.lockSession(other)).toBe(true);
});
