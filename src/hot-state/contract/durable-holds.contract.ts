import { describe, expect, it } from 'vitest';
import { loadTenant, quotaProjection as projection } from '../../../test/support/hot-state.ts';
import { nano } from '../../domain/money.ts';
import type { HotState } from '../hot-state.ts';
import {
  type CreateHotState,
  givenHotState,
  hold,
  holder,
  pendingOf,
  tenantId,
  unlimited,
} from './given-hot-state.contract.ts';

/** What every hot state guarantees of holds that are confirmed, and of those that never are. */
export function describeDurableHolds(create: CreateHotState): void {
  const { check, clock, loaded, time } = givenHotState(create);

  describe('a hold whose PENDING row is durable', () => {
    const confirm = (hotState: HotState, name: string | number, amount: bigint) =>
      hotState.confirm({ ...hold(name), holdAmount: nano(amount), periodDay: '2026-11-23' });

    it('stays until it is settled, and one that is never confirmed is dropped after 30 s', async () => {
      const hotState = await loaded();
      await check(hotState, 'dies', 40n);
      await check(hotState, 'lives', 60n);
      expect(await confirm(hotState, 'lives', 60n)).toEqual({ kind: 'confirmed' });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 100n, openHolds: 2 });
      time.nowMs += 29_999;
      expect(await check(hotState, 'early', 1n)).toMatchObject({ kind: 'denied', limit: 'balance' });
      time.nowMs += 1;
      expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 1 });
      expect(await check(hotState, 'later', 40n)).toMatchObject({ remaining: { available: 0n } });
      time.nowMs += 3_600_000;
      expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 1 });
    });

    it('is placed anew where it was dropped for its age and the money is still there', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 60n);
      time.nowMs += 60_000;
      expect(await hotState.look(tenantId)).toMatchObject({ held: 0n });
      expect(await confirm(hotState, 1, 60n)).toEqual({ kind: 'confirmed' });
      time.nowMs += 60_000;
      expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 1 });
    });

    it('is denied where another request got the money in the meantime, and changes nothing', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 60n);
      time.nowMs += 60_000;
      await check(hotState, 2, 41n);
      expect(await confirm(hotState, 1, 60n)).toEqual({
        kind: 'denied',
        limit: 'balance',
        freesInMs: null,
        remaining: { ...unlimited, available: 59n, dailyRequests: 999, monthlyRequests: 29_999 },
      });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 41n, openHolds: 1 });
    });

    it('is confirmed with the amount of its row, not with that of a late repeat of a smaller question', async () => {
      const hotState = await loaded();
      await check(hotState, 'other', 50n);
      await check(hotState, 1, 10n);
      expect(await confirm(hotState, 1, 51n)).toMatchObject({ kind: 'denied', limit: 'balance' });
      expect(await confirm(hotState, 1, 50n)).toEqual({ kind: 'confirmed' });
      // A repeat of a question is late by now.
      expect(await check(hotState, 1, 10n)).toMatchObject({
        kind: 'admitted',
        remaining: { available: 0n },
      });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 100n, openHolds: 2 });
    });

    it('is confirmed once, however often it is said', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 30n);
      expect(await confirm(hotState, 1, 30n)).toEqual({ kind: 'confirmed' });
      expect(await confirm(hotState, 1, 30n)).toEqual({ kind: 'confirmed' });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 30n, openHolds: 1 });
    });

    it('that a snapshot brought back is denied where the money went to another since', async () => {
      const hotState = await create(clock);
      const openPendings = [pendingOf('before', 60n), pendingOf('after', 60n)];
      await loadTenant(hotState, { projection: projection(), openPendings });
      expect(await confirm(hotState, 'before', 60n)).toMatchObject({ kind: 'denied', limit: 'balance' });
      expect(await confirm(hotState, 'after', 60n)).toEqual({ kind: 'confirmed' });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 1 });
    });

    it('takes the place of a hold under its trace id that can not become a row', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 30n);
      const durable = { ...hold(1), holder: holder('durable'), holdAmount: nano(20n) };
      expect(await hotState.confirm({ ...durable, periodDay: '2026-11-23' })).toEqual({ kind: 'confirmed' });
      await hotState.release(hold(1));
      expect(await hotState.look(tenantId)).toMatchObject({ held: 20n, openHolds: 1 });
    });

    it('counts in the day of its row', async () => {
      const hotState = await loaded({ dailyQuota: 2 });
      time.nowMs = Date.parse('2026-11-24T00:00:01Z');
      await confirm(hotState, 1, 1n);
      expect(await check(hotState, 2, 1n)).toMatchObject({ remaining: { dailyRequests: 1 } });
    });

    it('is cold with the tenant, and settled with the request', async () => {
      const hotState = await create(clock);
      expect(await confirm(hotState, 1, 1n)).toMatchObject({ kind: 'cold' });
      await hotState.release(hold(2));
      expect(await confirm(hotState, 2, 1n)).toEqual({ kind: 'settled' });
    });
  });
}
