import { describe, expect, it } from 'vitest';
import { quotaProjection as projection, ticketFor } from '../../../test/support/hot-state.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import { type CreateHotState, givenHotState, tenantId } from './given-hot-state.contract.ts';

/** What every hot state guarantees of `load`. */
export function describeSnapshots(create: CreateHotState): void {
  const { check, clock, time } = givenHotState(create);

  describe('a snapshot', () => {
    const snapshot = (changes: Partial<QuotaProjection> = {}) => ({
      kind: 'snapshot' as const,
      projection: projection(changes),
      openPendings: [],
    });

    it('is loaded once for all who were told that the tenant is cold', async () => {
      const hotState = await create(clock);
      const tickets = [await ticketFor(hotState, tenantId), await ticketFor(hotState, tenantId)];
      for (const ticket of tickets) {
        await hotState.load(snapshot(), ticket!);
        await check(hotState, 'held', 30n);
      }
      expect(await hotState.look(tenantId)).toMatchObject({ held: 30n, openHolds: 1 });
    });

    it('that took longer than 20 s is not loaded: what was settled since may be forgotten', async () => {
      const hotState = await create(clock);
      const ticket = await ticketFor(hotState, tenantId);
      time.nowMs += 20_001;
      await hotState.load(snapshot(), ticket!);
      expect(await hotState.look(tenantId)).toBeUndefined();
      await hotState.load(snapshot(), (await ticketFor(hotState, tenantId))!);
      expect(await hotState.look(tenantId)).toMatchObject({ held: 0n });
    });

    it('is not loaded with a ticket of an earlier life, which may lack what was held since', async () => {
      const earlier = await ticketFor(await create(clock), tenantId);
      const hotState = await create(clock);
      await hotState.load(snapshot(), earlier!);
      expect(await hotState.look(tenantId)).toBeUndefined();
      const ticket = await ticketFor(hotState, tenantId);
      await hotState.load(snapshot(), earlier!);
      expect(await hotState.look(tenantId)).toBeUndefined();
      await hotState.load(snapshot(), ticket!);
      expect(await hotState.look(tenantId)).toMatchObject({ held: 0n });
    });
  });
}
