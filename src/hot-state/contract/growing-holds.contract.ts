import { describe, expect, it } from 'vitest';
import { nano } from '../../domain/money.ts';
import type { HotState } from '../hot-state.ts';
import { type CreateHotState, givenHotState, hold, tenantId } from './given-hot-state.contract.ts';

/** What every hot state guarantees of `extend`. */
export function describeGrowingHolds(create: CreateHotState): void {
  const { check, clock, loaded, time } = givenHotState(create);

  describe('a hold that follows its stream', () => {
    const extend = (hotState: HotState, name: string | number, amount: bigint) =>
      hotState.extend({ ...hold(name), holdAmount: nano(amount), periodDay: '2026-11-23' });

    it('grows to the whole amount, once, and never shrinks', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 30n);
      expect(await extend(hotState, 1, 70n)).toEqual({ kind: 'extended', available: 30n });
      expect(await extend(hotState, 1, 70n)).toEqual({ kind: 'extended', available: 30n });
      expect(await extend(hotState, 1, 10n)).toEqual({ kind: 'extended', available: 30n });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 70n, openHolds: 1 });
      expect(await extend(hotState, 1, 100n)).toEqual({ kind: 'extended', available: 0n });
    });

    it('is denied beyond what is available, and stays as it is', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 30n);
      await check(hotState, 2, 50n);
      expect(await extend(hotState, 1, 51n)).toEqual({ kind: 'denied', limit: 'balance', available: 20n });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 80n, openHolds: 2 });
    });

    it('is placed anew where it was lost, and counts once in the day of its request', async () => {
      const hotState = await loaded({ dailyQuota: 2 });
      expect(await extend(hotState, 1, 70n)).toEqual({ kind: 'extended', available: 30n });
      expect(await extend(hotState, 1, 80n)).toEqual({ kind: 'extended', available: 20n });
      expect(await check(hotState, 2, 1n)).toMatchObject({ remaining: { dailyRequests: 0 } });
      time.nowMs += 3_600_000;
      expect(await hotState.look(tenantId)).toMatchObject({ held: 80n });
    });

    it('is cold with the tenant, and settled with the request', async () => {
      const hotState = await create(clock);
      expect(await extend(hotState, 1, 1n)).toMatchObject({ kind: 'cold' });
      await hotState.release(hold(2));
      expect(await extend(hotState, 2, 1n)).toEqual({ kind: 'settled' });
    });
  });
}
