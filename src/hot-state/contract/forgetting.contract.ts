import { describe, expect, it } from 'vitest';
import {
  loadTenant,
  plainKey,
  quotaProjection as projection,
  ticketFor,
} from '../../../test/support/hot-state.ts';
import { sortedSums, stateOf } from '../../../test/support/random-hot-state.ts';
import type { ApiKeyId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import type { HotState } from '../hot-state.ts';
import {
  type CreateHotState,
  givenHotState,
  hold,
  holder,
  pendingOf,
  tenantId,
} from './given-hot-state.contract.ts';

/** What every hot state guarantees to whoever compares it with the ledger: that it tells all, and forgets a tenant. */
export function describeForgetting(create: CreateHotState): void {
  const { check, clock, loaded, time } = givenHotState(create);
  const periodDay = '2026-11-23';
  const confirm = (hotState: HotState, name: string, amount: bigint) =>
    hotState.confirm({ ...hold(name), holdAmount: nano(amount), periodDay });
  const extend = (hotState: HotState, name: string, amount: bigint) =>
    hotState.extend({ ...hold(name), holdAmount: nano(amount), periodDay });

  describe('the holds of a tenant', () => {
    it('are told with their states, and with the sums that are kept of them', async () => {
      time.nowMs = Date.parse('2026-11-23T12:00:00Z');
      const hotState = await create(clock);
      expect(await hotState.holds(tenantId)).toBeUndefined();
      await loadTenant(hotState, { projection: projection(), openPendings: [pendingOf('loaded', 40n)] });
      await check(hotState, 'confirmed', 10n);
      await confirm(hotState, 'confirmed', 10n);
      const other = { ...hold('checked'), apiKeyId: 'api-key-2' as ApiKeyId, tokens: 7 };
      await hotState.check({ ...other, holdAmount: nano(5n) });
      const { limits: _, observe: __, ...ref } = plainKey;
      const stands = (name: string, amount: bigint, state: string, changes = {}) => ({
        ...ref,
        tenantId,
        traceId: hold(name).traceId,
        holder: holder(name),
        amount,
        periodDay,
        state,
        ...changes,
      });
      expect(await stateOf(hotState, tenantId)).toEqual({
        projection: projection(),
        holds: [
          stands('checked', 5n, 'checked', { apiKeyId: 'api-key-2', tokens: 7 }),
          stands('confirmed', 10n, 'confirmed'),
          stands('loaded', 40n, 'loaded'),
        ],
        sums: sortedSums({
          held: nano(55n),
          openByDay: [{ periodDay, requests: 3n }],
          ofApiKeys: [
            { apiKeyId: plainKey.apiKeyId, periodDay, requests: 2n, tokens: 0n, amount: nano(50n) },
            { apiKeyId: 'api-key-2' as ApiKeyId, periodDay, requests: 1n, tokens: 7n, amount: nano(5n) },
          ],
        }),
      });
    });
  });

  describe('a tenant that is forgotten', () => {
    it('is cold until the next snapshot, whose version counts whatever was known before', async () => {
      const hotState = await loaded({ version: 9 });
      await check(hotState, 1, 60n);
      await hotState.forget(tenantId);
      expect(await hotState.holds(tenantId)).toBeUndefined();
      expect(await check(hotState, 2, 1n)).toMatchObject({ kind: 'cold' });
      await loadTenant(hotState, { projection: projection({ version: 3, balance: nano(70n) }) });
      expect(await hotState.look(tenantId)).toEqual({
        projection: projection({ version: 3, balance: nano(70n) }),
        held: 0n,
        openHolds: 0,
      });
      expect(await stateOf(hotState, tenantId)).toMatchObject({ sums: { openByDay: [], ofApiKeys: [] } });
    });

    it('keeps its minutes', async () => {
      const hotState = await loaded({ rpmLimit: 1 });
      await check(hotState, 1, 1n);
      await hotState.forget(tenantId);
      await loadTenant(hotState, { projection: projection({ rpmLimit: 1 }) });
      expect(await check(hotState, 2, 1n)).toMatchObject({ kind: 'denied', limit: 'requests_per_minute' });
    });

    it('gets the holds of its open rows back, as far as they had grown', async () => {
      const hotState = await loaded();
      for (const name of ['grown', 'small']) await check(hotState, name, 10n);
      for (const name of ['grown', 'small']) await confirm(hotState, name, 10n);
      await extend(hotState, 'grown', 50n);
      await check(hotState, 'not durable', 30n);
      await hotState.forget(tenantId);
      const openPendings = ['grown', 'small', 'not durable'].map((name) => pendingOf(name, 10n));
      await loadTenant(hotState, { projection: projection(), openPendings });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 70n, openHolds: 3 });
      expect(await extend(hotState, 'grown', 80n)).toMatchObject({ kind: 'extended', available: 0n });
    });

    it('gives no row the money of another request under its trace id', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 90n);
      await confirm(hotState, '1', 90n);
      await hotState.forget(tenantId);
      const pending = { ...pendingOf(1, 20n), transactionId: holder('another') };
      await loadTenant(hotState, { projection: projection(), openPendings: [pending] });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 20n, openHolds: 1 });
    });

    it('does not get back what was settled before or meanwhile', async () => {
      const hotState = await loaded();
      for (const name of ['before', 'meanwhile']) await check(hotState, name, 10n);
      for (const name of ['before', 'meanwhile']) await confirm(hotState, name, 10n);
      await hotState.release(hold('before'));
      await hotState.forget(tenantId);
      await hotState.deduct(hold('meanwhile'), projection({ version: 2, balance: nano(95n) }), null);
      const openPendings = ['before', 'meanwhile'].map((name) => pendingOf(name, 10n));
      await loadTenant(hotState, { projection: projection(), openPendings });
      expect(await hotState.look(tenantId)).toMatchObject({
        projection: { version: 2, balance: 95n },
        held: 0n,
        openHolds: 0,
      });
      expect(await stateOf(hotState, tenantId)).toMatchObject({ sums: { openByDay: [], ofApiKeys: [] } });
    });

    it('decides anew what was admitted and was not durable yet', async () => {
      const hotState = await loaded();
      await check(hotState, 'first', 60n);
      await hotState.forget(tenantId);
      await loadTenant(hotState, { projection: projection() });
      expect(await check(hotState, 'second', 50n)).toMatchObject({ kind: 'admitted' });
      expect(await confirm(hotState, 'first', 60n)).toMatchObject({ kind: 'denied', limit: 'balance' });
      expect(await confirm(hotState, 'second', 50n)).toEqual({ kind: 'confirmed' });
    });

    it('takes no snapshot that was asked for before', async () => {
      const hotState = await create(clock);
      const ticket = await ticketFor(hotState, tenantId);
      await loadTenant(hotState, { projection: projection() });
      await check(hotState, 1, 60n);
      await hotState.forget(tenantId);
      expect(await check(hotState, 2, 1n)).toMatchObject({ kind: 'cold' });
      await hotState.load({ kind: 'snapshot', projection: projection(), openPendings: [] }, ticket!);
      expect(await hotState.look(tenantId)).toBeUndefined();
    });

    it('need not be there', async () => {
      const hotState = await create(clock);
      await hotState.forget(tenantId);
      await loadTenant(hotState, { projection: projection() });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 0n });
    });
  });
}
