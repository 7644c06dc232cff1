import { describe, expect, it } from 'vitest';
import { quotaProjection } from '../../../test/support/hot-state.ts';
import { nano } from '../../domain/money.ts';
import { type CreateHotState, givenHotState, hold, tenantId } from './given-hot-state.contract.ts';

const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;

/** What every hot state guarantees when the clock that it follows is set anew, as that of Redis' machine may be. */
export function describeClockSteps(create: CreateHotState): void {
  const { check, loaded, time } = givenHotState(create);

  describe('a clock that is set anew', () => {
    it.each([1_000, hourMs, 400 * dayMs])('opens no minute again by a step of %i ms back', async (stepMs) => {
      const hotState = await loaded({ rpmLimit: 3 });
      for (const name of [1, 2, 3])
        expect(await check(hotState, name, 1n)).toMatchObject({ kind: 'admitted' });
      time.nowMs -= stepMs;
      const refused = await check(hotState, 4, 1n);
      expect(refused).toMatchObject({ kind: 'denied', limit: 'requests_per_minute' });
      // It frees after the minute that really passes, though the clock is behind where it was.
      time.nowMs += refused.kind === 'denied' ? (refused.freesInMs ?? 0) : 0;
      expect(await check(hotState, 5, 1n)).toMatchObject({ kind: 'admitted' });
    });

    it.each([
      ['forward', dayMs],
      ['back', -dayMs],
    ])('takes no hold from a request that runs, and frees none twice, by a step %s', async (_, stepMs) => {
      const hotState = await loaded();
      await check(hotState, 'running', 60n);
      await hotState.confirm({ ...hold('running'), holdAmount: nano(60n), periodDay: '2026-11-23' });
      await check(hotState, 'opening', 30n);
      time.nowMs += stepMs;
      // One whose row is being written is decided anew where it looks too old; the money is there.
      const opened = { ...hold('opening'), holdAmount: nano(30n), periodDay: '2026-11-23' };
      expect(await hotState.confirm(opened)).toEqual({ kind: 'confirmed' });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 90n, openHolds: 2 });
      expect(await check(hotState, 'too much', 11n)).toMatchObject({ kind: 'denied', limit: 'balance' });
      await hotState.release(hold('running'));
      await hotState.release(hold('running'));
      time.nowMs -= stepMs;
      expect(await hotState.look(tenantId)).toMatchObject({ held: 30n, openHolds: 1 });
    });

    it('begins the next day by a step forward, and does not open the one before again by a step back', async () => {
      const hotState = await loaded({ dailyQuota: 2, dailyUsed: 1, dailyPeriod: '2026-11-23' });
      expect(await check(hotState, 1, 1n)).toMatchObject({ kind: 'admitted', periodDay: '2026-11-23' });
      expect(await check(hotState, 2, 1n)).toMatchObject({ kind: 'denied', limit: 'daily_requests' });
      time.nowMs += dayMs;
      expect(await check(hotState, 3, 1n)).toMatchObject({ kind: 'admitted', periodDay: '2026-11-24' });
      const charged = { version: 2, dailyQuota: 2, dailyUsed: 1, dailyPeriod: '2026-11-24' };
      await hotState.deduct(hold(3), quotaProjection(charged), null);
      time.nowMs -= dayMs;
      expect(await check(hotState, 4, 1n)).toMatchObject({ kind: 'admitted', periodDay: '2026-11-24' });
      expect(await check(hotState, 5, 1n)).toMatchObject({ kind: 'denied', limit: 'daily_requests' });
    });
  });
}
