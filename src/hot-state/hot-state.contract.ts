import { describe, expect, it } from 'vitest';
import {
  loadTenant,
  plainKey,
  quotaProjection as projection,
  ticketFor,
} from '../../test/support/hot-state.ts';
import type { Clock } from '../domain/clock.ts';
import type { TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { nano } from '../domain/money.ts';
import type { QuotaProjection } from '../domain/quota.ts';
import { describeRates } from './contract/rates.contract.ts';
import type { HotState } from './hot-state.ts';

const tenantId = 'tenant-1' as TenantId;
const trace = (name: string | number) => `trace-${name}` as TraceId;
const holder = (name: string | number) => `transaction-${name}` as TransactionId;
const hold = (name: string | number) => ({
  ...plainKey,
  tenantId,
  traceId: trace(name),
  holder: holder(name),
});

const unlimited = {
  requestsPerMinute: null,
  tokensPerMinute: null,
  apiKey: { requests: null, tokens: null, amount: null },
};

/** What every hot state guarantees. `create` gets the clock that the adapter has to follow. */
export function describeHotState(name: string, create: (clock: Clock) => Promise<HotState>): void {
  describe(`hot state in ${name}`, () => {
    let nowMs = 0;
    const clock: Clock = { now: () => nowMs, monotonic: () => nowMs };

    async function loaded(changes: Partial<QuotaProjection> = {}): Promise<HotState> {
      nowMs = Date.parse('2026-11-23T12:00:00Z');
      const hotState = await create(clock);
      await loadTenant(hotState, { projection: projection(changes) });
      return hotState;
    }

    const check = (hotState: HotState, name: string | number, amount: bigint) =>
      hotState.check({ ...hold(name), holdAmount: nano(amount) });

    describeRates(create);

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
        freesInMs: Date.parse('2026-11-24T00:00:00Z') - nowMs,
      });
      nowMs = Date.parse('2026-11-24T00:00:00Z');
      expect(await check(hotState, 1, 1n)).toMatchObject({ kind: 'admitted', periodDay: '2026-11-24' });
    });

    it('denies the month when it is used up, and says that the next one frees it', async () => {
      const hotState = await loaded({ monthlyQuota: 2, monthlyUsed: 1, monthlyPeriod: '2026-11' });
      expect(await check(hotState, 1, 1n)).toMatchObject({ kind: 'admitted' });
      expect(await check(hotState, 2, 1n)).toMatchObject({
        kind: 'denied',
        limit: 'monthly_requests',
        freesInMs: Date.parse('2026-12-01T00:00:00Z') - nowMs,
      });
    });

    it('counts open requests against the quota of the day in which they were admitted', async () => {
      const hotState = await loaded({ dailyQuota: 2 });
      await check(hotState, 1, 1n);
      await check(hotState, 2, 1n);
      expect(await check(hotState, 3, 1n)).toMatchObject({ kind: 'denied', limit: 'daily_requests' });
      await hotState.release(hold(1));
      expect(await check(hotState, 4, 1n)).toMatchObject({ kind: 'admitted' });
      nowMs = Date.parse('2026-11-24T01:00:00Z');
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
      const pending = {
        transactionId: holder('open'),
        apiKeyId: plainKey.apiKeyId,
        traceId: trace('open'),
        holdAmount: nano(40n),
        holdTokens: 0,
        periodDay: '2026-11-23',
      };
      const snapshot = { projection: projection(), openPendings: [pending] };
      await loadTenant(hotState, snapshot);
      await loadTenant(hotState, snapshot);
      expect(await hotState.look(tenantId)).toMatchObject({ held: 40n, openHolds: 1 });
    });

    it('does not bring back, from an older snapshot, what was settled before it was loaded', async () => {
      const hotState = await create(clock);
      await hotState.deduct(hold('done'), projection({ version: 2, balance: nano(60n) }), null);
      const pending = {
        transactionId: holder('done'),
        apiKeyId: plainKey.apiKeyId,
        traceId: trace('done'),
        holdAmount: nano(40n),
        holdTokens: 0,
        periodDay: '2026-11-23',
      };
      await loadTenant(hotState, { projection: projection(), openPendings: [pending] });
      expect(await hotState.look(tenantId)).toMatchObject({
        projection: { version: 2, balance: 60n },
        held: 0n,
      });
    });

    describe('a hold whose PENDING row is durable', () => {
      const confirm = (hotState: HotState, name: string | number, amount: bigint) =>
        hotState.confirm({ ...hold(name), holdAmount: nano(amount), periodDay: '2026-11-23' });
      const pendingOf = (name: string | number, amount: bigint) => ({
        transactionId: holder(name),
        apiKeyId: plainKey.apiKeyId,
        traceId: trace(name),
        holdAmount: nano(amount),
        holdTokens: 0,
        periodDay: '2026-11-23',
      });

      it('stays until it is settled, and one that is never confirmed is dropped after 30 s', async () => {
        const hotState = await loaded();
        await check(hotState, 'dies', 40n);
        await check(hotState, 'lives', 60n);
        expect(await confirm(hotState, 'lives', 60n)).toMatchObject({
          kind: 'admitted',
          periodDay: '2026-11-23',
          remaining: { available: 0n, dailyRequests: 998 },
        });
        nowMs += 29_999;
        expect(await check(hotState, 'early', 1n)).toMatchObject({ kind: 'denied', limit: 'balance' });
        nowMs += 1;
        expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 1 });
        expect(await check(hotState, 'later', 40n)).toMatchObject({ remaining: { available: 0n } });
        nowMs += 3_600_000;
        expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 1 });
      });

      it('is placed anew where it was dropped for its age and the money is still there', async () => {
        const hotState = await loaded();
        await check(hotState, 1, 60n);
        nowMs += 60_000;
        expect(await hotState.look(tenantId)).toMatchObject({ held: 0n });
        expect(await confirm(hotState, 1, 60n)).toMatchObject({ remaining: { available: 40n } });
        nowMs += 60_000;
        expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 1 });
      });

      it('is denied where another request got the money in the meantime, and changes nothing', async () => {
        const hotState = await loaded();
        await check(hotState, 1, 60n);
        nowMs += 60_000;
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
        expect(await confirm(hotState, 1, 50n)).toMatchObject({
          kind: 'admitted',
          remaining: { available: 0n },
        });
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
        const first = await confirm(hotState, 1, 30n);
        expect(await confirm(hotState, 1, 30n)).toEqual(first);
        expect(await hotState.look(tenantId)).toMatchObject({ held: 30n, openHolds: 1 });
      });

      it('that a snapshot brought back is denied where the money went to another since', async () => {
        const hotState = await create(clock);
        const openPendings = [pendingOf('before', 60n), pendingOf('after', 60n)];
        await loadTenant(hotState, { projection: projection(), openPendings });
        expect(await confirm(hotState, 'before', 60n)).toMatchObject({ kind: 'denied', limit: 'balance' });
        expect(await confirm(hotState, 'after', 60n)).toMatchObject({ remaining: { available: 40n } });
        expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 1 });
      });

      it('takes the place of a hold under its trace id that can not become a row', async () => {
        const hotState = await loaded();
        await check(hotState, 1, 30n);
        const durable = { ...hold(1), holder: holder('durable'), holdAmount: nano(20n) };
        expect(await hotState.confirm({ ...durable, periodDay: '2026-11-23' })).toMatchObject({
          kind: 'admitted',
          remaining: { available: 80n },
        });
        await hotState.release(hold(1));
        expect(await hotState.look(tenantId)).toMatchObject({ held: 20n, openHolds: 1 });
      });

      it('counts in the day of its row', async () => {
        const hotState = await loaded({ dailyQuota: 2 });
        nowMs = Date.parse('2026-11-24T00:00:01Z');
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
        nowMs += 3_600_000;
        expect(await hotState.look(tenantId)).toMatchObject({ held: 80n });
      });

      it('is cold with the tenant, and settled with the request', async () => {
        const hotState = await create(clock);
        expect(await extend(hotState, 1, 1n)).toMatchObject({ kind: 'cold' });
        await hotState.release(hold(2));
        expect(await extend(hotState, 2, 1n)).toEqual({ kind: 'settled' });
      });
    });

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
        nowMs += 20_001;
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
