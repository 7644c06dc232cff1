import { describe, expect, it } from 'vitest';
import { loadTenant, quotaProjection as projection } from '../../test/support/hot-state.ts';
import { nano } from '../domain/money.ts';
import { describeApiKeyQuotas } from './contract/api-key-quotas.contract.ts';
import { describeClockSteps } from './contract/clock-steps.contract.ts';
import { describeDurableHolds } from './contract/durable-holds.contract.ts';
import { describeForgetting } from './contract/forgetting.contract.ts';
import {
  type CreateHotState,
  givenHotState,
  hold,
  holder,
  pendingOf,
  tenantId,
  unlimited,
} from './contract/given-hot-state.contract.ts';
import { describeGrowingHolds } from './contract/growing-holds.contract.ts';
import { describeRates } from './contract/rates.contract.ts';
import { describeSnapshots } from './contract/snapshots.contract.ts';

/** What every hot state guarantees. `create` gets the clock that the adapter has to follow. */
export function describeHotState(name: string, create: CreateHotState): void {
  describe(`hot state in ${name}`, () => {
    const { check, clock, loaded, time } = givenHotState(create);

    describeDurableHolds(create);
    describeGrowingHolds(create);
    describeSnapshots(create);
    describeForgetting(create);
    describeApiKeyQuotas(create);
    describeRates(create);
    describeClockSteps(create);

    it('admits a fresh tenant and tells what remains', async () => {
      const hotState = await loaded();
      expect(await check(hotState, 1, 0n)).toEqual({
        kind: 'admitted',
        periodDay: '2026-11-23',
        remaining: { ...unlimited, available: 100n, dailyRequests: 999, monthlyRequests: 29_999 },
        exceeded: null,
      });
    });

    it('is cold until it is loaded', async () => {
      const hotState = await create(clock);
      expect(await check(hotState, 1, 1n)).toMatchObject({ kind: 'cold' });
      expect(await hotState.look(tenantId)).toBeUndefined();
    });

    it('denies a hold above what is available, names the limit, and changes nothing', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 60n);
      const before = await hotState.look(tenantId);
      expect(await check(hotState, 2, 41n)).toEqual({
        kind: 'denied',
        limit: 'balance',
        freesInMs: null,
        remaining: { ...unlimited, available: 40n, dailyRequests: 999, monthlyRequests: 29_999 },
      });
      expect(await hotState.look(tenantId)).toEqual(before);
      expect(await check(hotState, 3, 40n)).toMatchObject({ kind: 'admitted', remaining: { available: 0n } });
    });

    it('lends up to the credit limit and no further', async () => {
      const hotState = await loaded({ balance: nano(-20n), creditLimit: nano(50n) });
      expect(await check(hotState, 1, 31n)).toMatchObject({ kind: 'denied', limit: 'balance' });
      expect(await check(hotState, 2, 30n)).toMatchObject({ kind: 'admitted' });
    });

    it('stops a tenant that owes more than its credit, even for a request that costs nothing', async () => {
      const hotState = await loaded({ balance: nano(-1n) });
      expect(await check(hotState, 1, 0n)).toMatchObject({ kind: 'denied', limit: 'balance' });
    });

    it('denies the day when it is used up, and says that midnight frees it', async () => {
      const hotState = await loaded({ dailyUsed: 1000, dailyPeriod: '2026-11-23' });
      expect(await check(hotState, 1, 1n)).toMatchObject({
        kind: 'denied',
        limit: 'daily_requests',
        freesInMs: Date.parse('2026-11-24T00:00:00Z') - time.nowMs,
      });
      time.nowMs = Date.parse('2026-11-24T00:00:00Z');
      expect(await check(hotState, 1, 1n)).toMatchObject({ kind: 'admitted', periodDay: '2026-11-24' });
    });

    it('denies the month when it is used up, and says that the next one frees it', async () => {
      const hotState = await loaded({ monthlyQuota: 2, monthlyUsed: 1, monthlyPeriod: '2026-11' });
      expect(await check(hotState, 1, 1n)).toMatchObject({ kind: 'admitted' });
      expect(await check(hotState, 2, 1n)).toMatchObject({
        kind: 'denied',
        limit: 'monthly_requests',
        freesInMs: Date.parse('2026-12-01T00:00:00Z') - time.nowMs,
      });
    });

    it('counts open requests against the quota of the day in which they were admitted', async () => {
      const hotState = await loaded({ dailyQuota: 2 });
      await check(hotState, 1, 1n);
      await check(hotState, 2, 1n);
      expect(await check(hotState, 3, 1n)).toMatchObject({ kind: 'denied', limit: 'daily_requests' });
      await hotState.release(hold(1));
      expect(await check(hotState, 4, 1n)).toMatchObject({ kind: 'admitted' });
      time.nowMs = Date.parse('2026-11-24T01:00:00Z');
      expect(await check(hotState, 5, 1n)).toMatchObject({ remaining: { dailyRequests: 1 } });
    });

    it('answers a repeated check as the first, and holds once', async () => {
      const hotState = await loaded();
      const first = await check(hotState, 1, 30n);
      expect(await check(hotState, 1, 30n)).toEqual(first);
      expect(await hotState.look(tenantId)).toMatchObject({ held: 30n, openHolds: 1 });
    });

    it('holds what its holder asked for last, as far as the money goes', async () => {
      const hotState = await loaded();
      await check(hotState, 'other', 50n);
      await check(hotState, 1, 10n);
      expect(await check(hotState, 1, 51n)).toMatchObject({
        kind: 'denied',
        limit: 'balance',
        freesInMs: null,
        remaining: { available: 40n, dailyRequests: 998 },
      });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 2 });
      expect(await check(hotState, 1, 50n)).toMatchObject({
        kind: 'admitted',
        remaining: { available: 0n, dailyRequests: 998 },
      });
      expect(await check(hotState, 1, 20n)).toMatchObject({
        kind: 'admitted',
        remaining: { available: 30n },
      });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 70n, openHolds: 2 });
    });

    it('gives money back that a smaller question no longer needs, whatever the tenant owes', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 90n);
      await hotState.project(projection({ version: 2, balance: nano(10n) }));
      expect(await check(hotState, 1, 50n)).toMatchObject({
        kind: 'admitted',
        remaining: { available: -40n },
      });
    });

    it("neither admits a second request under an open trace id, nor lets it give back the first one's hold", async () => {
      const hotState = await loaded();
      await check(hotState, 1, 90n);
      const second = { ...hold(1), holder: holder('second') };
      expect(await hotState.check({ ...second, holdAmount: nano(1n) })).toEqual({ kind: 'already_open' });
      await hotState.release(second);
      await hotState.deduct(second, projection(), null);
      expect(await hotState.look(tenantId)).toMatchObject({ held: 90n, openHolds: 1 });
      expect(await check(hotState, 2, 11n)).toMatchObject({ kind: 'denied' });
      await hotState.release(hold(1));
      expect(
        await hotState.check({ ...second, holdAmount: nano(1n), holder: holder('third') }),
      ).toMatchObject({
        kind: 'admitted',
      });
    });

    it('does not open a closed day again when the clock steps back over midnight', async () => {
      const hotState = await loaded({ dailyQuota: 3, dailyUsed: 2, dailyPeriod: '2026-11-24' });
      expect(await check(hotState, 1, 1n)).toMatchObject({
        kind: 'admitted',
        periodDay: '2026-11-24',
        remaining: { dailyRequests: 0 },
      });
      expect(await check(hotState, 2, 1n)).toMatchObject({ kind: 'denied', limit: 'daily_requests' });
    });

    it('takes the projection and releases the hold in one step, once', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 30n);
      await check(hotState, 2, 5n);
      const newer = projection({ version: 2, balance: nano(90n), dailyUsed: 1, dailyPeriod: '2026-11-23' });
      await hotState.deduct(hold(1), newer, null);
      await hotState.deduct(hold(1), newer, null);
      expect(await hotState.look(tenantId)).toEqual({ projection: newer, held: 5n, openHolds: 1 });
    });

    it('never goes back to an older projection', async () => {
      const hotState = await loaded({ version: 5 });
      await hotState.project(projection({ version: 4, balance: nano(1n) }));
      await loadTenant(hotState, { projection: projection({ version: 3, balance: nano(1n) }) });
      expect(await hotState.look(tenantId)).toMatchObject({ projection: { version: 5, balance: 100n } });
      await hotState.project(projection({ version: 6, balance: nano(7n) }));
      expect(await hotState.look(tenantId)).toMatchObject({ projection: { version: 6, balance: 7n } });
    });

    it('does not place a hold for a request that was settled', async () => {
      const hotState = await loaded();
      await check(hotState, 1, 30n);
      await hotState.release(hold(1));
      expect(await check(hotState, 1, 30n)).toEqual({ kind: 'settled' });
      expect(await hotState.look(tenantId)).toMatchObject({ held: 0n, openHolds: 0 });
    });

    it('restores the open holds of a cold tenant, and only once', async () => {
      const hotState = await create(clock);
      const pending = pendingOf('open', 40n);
      const snapshot = { projection: projection(), openPendings: [pending] };
      await loadTenant(hotState, snapshot);
      await loadTenant(hotState, snapshot);
      expect(await hotState.look(tenantId)).toMatchObject({ held: 40n, openHolds: 1 });
    });

    it('does not bring back, from an older snapshot, what was settled before it was loaded', async () => {
      const hotState = await create(clock);
      await hotState.deduct(hold('done'), projection({ version: 2, balance: nano(60n) }), null);
      const pending = pendingOf('done', 40n);
      await loadTenant(hotState, { projection: projection(), openPendings: [pending] });
      expect(await hotState.look(tenantId)).toMatchObject({
        projection: { version: 2, balance: 60n },
        held: 0n,
      });
    });

    it('keeps amounts exact beyond 2^53', async () => {
      const balance = nano(2n ** 53n + 1n);
      const hotState = await loaded({ balance });
      expect(await check(hotState, 1, balance + 1n)).toMatchObject({ kind: 'denied' });
      expect(await check(hotState, 2, balance)).toMatchObject({
        kind: 'admitted',
        remaining: { available: 0n },
      });
    });

    it('never admits more than the money there is, however many ask', async () => {
      const hotState = await loaded({ balance: nano(1_000n) });
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, index) => check(hotState, index, 20n)),
      );
      expect(answers.filter(({ kind }) => kind === 'admitted')).toHaveLength(50);
    });
  });
}
