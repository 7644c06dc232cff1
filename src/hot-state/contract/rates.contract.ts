import { beforeEach, describe, expect, it } from 'vitest';
import { loadTenant, plainKey, quotaProjection } from '../../../test/support/hot-state.ts';
import type { Clock } from '../../domain/clock.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import type { Admitted, HotState, QuotaCheck } from '../hot-state.ts';

const tenantId = 'tenant-1' as TenantId;
const otherKey = 'api-key-2' as ApiKeyId;
/** At the beginning of a bucket. */
const startMs = Date.parse('2026-11-23T12:00:00Z');
/** A minute, and the piece of it that leaves together. */
const leavesAfterMs = 60_500;

interface Asked extends Partial<Omit<QuotaCheck, 'limits'>> {
  readonly apiKey?: Partial<QuotaCheck['limits']['apiKey']>;
  readonly maxOpenRequests?: number;
}

/** What every hot state guarantees of limits a minute, of open requests, and of observing. */
export function describeRates(create: (clock: Clock) => Promise<HotState>): void {
  describe('limits a minute and of open requests', () => {
    let nowMs = startMs;
    let hotState: HotState;
    const clock: Clock = { now: () => nowMs, monotonic: () => nowMs };

    beforeEach(() => {
      nowMs = startMs;
    });

    async function load(changes: Partial<QuotaProjection>): Promise<void> {
      hotState = await create(clock);
      await loadTenant(hotState, { projection: quotaProjection(changes) });
    }

    const asked = (name: string | number, { apiKey, maxOpenRequests, ...changes }: Asked = {}) => ({
      ...plainKey,
      tenantId,
      traceId: `trace-${name}` as TraceId,
      holder: `holder-${name}` as TransactionId,
      holdAmount: nano(1n),
      limits: {
        maxOpenRequests: maxOpenRequests ?? null,
        apiKey: { ...plainKey.limits.apiKey, ...apiKey },
      },
      ...changes,
    });

    const check = (name: string | number, changes?: Asked) => hotState.check(asked(name, changes));

    const newer = (version: number) => quotaProjection({ rpmLimit: 3, tpmLimit: 100, version });

    it('admits so many requests a minute, tells when the next would pass, and then it does', async () => {
      await load({ rpmLimit: 3 });
      for (const name of [1, 2, 3]) {
        nowMs = startMs + name * 1_000;
        expect(await check(name)).toMatchObject({
          kind: 'admitted',
          remaining: { requestsPerMinute: { limit: 3, remaining: 3 - name, resetsInMs: leavesAfterMs } },
        });
      }
      nowMs = startMs + 10_000;
      const before = await hotState.look(tenantId);
      expect(await check(4)).toEqual({
        kind: 'denied',
        limit: 'requests_per_minute',
        freesInMs: leavesAfterMs - 9_000,
        remaining: {
          available: 97n,
          dailyRequests: 997,
          monthlyRequests: 29_997,
          requestsPerMinute: { limit: 3, remaining: 0, resetsInMs: leavesAfterMs - 7_000 },
          tokensPerMinute: null,
          apiKey: { requests: null, tokens: null, amount: null },
        },
      });
      expect(await hotState.look(tenantId)).toEqual(before);
      nowMs += leavesAfterMs - 9_000 - 1;
      expect(await check(4)).toMatchObject({ kind: 'denied', freesInMs: 1 });
      nowMs += 1;
      expect(await check(4)).toMatchObject({ kind: 'admitted' });
    });

    it('reserves the tokens that a request may use, and counts those that it used when it ends', async () => {
      await load({ tpmLimit: 100 });
      await check(1, { tokens: 80 });
      expect(await check(2, { tokens: 30 })).toMatchObject({
        kind: 'denied',
        limit: 'tokens_per_minute',
        freesInMs: leavesAfterMs,
        remaining: { tokensPerMinute: { limit: 100, remaining: 20, resetsInMs: leavesAfterMs } },
      });
      nowMs += 5_000;
      await hotState.deduct(asked(1), newer(2), 65);
      await hotState.deduct(asked(1), newer(2), 65);
      expect(await check(2, { tokens: 35 })).toMatchObject({
        kind: 'admitted',
        remaining: { tokensPerMinute: { remaining: 0, resetsInMs: leavesAfterMs } },
      });
      await hotState.deduct(asked(2), newer(3), null);
      // More than was reserved counts as well.
      nowMs = startMs + leavesAfterMs;
      await check(3, { tokens: 10 });
      await hotState.deduct(asked(3), newer(4), 50);
      expect(await check(4, { tokens: 16 })).toMatchObject({ limit: 'tokens_per_minute' });
      expect(await check(4, { tokens: 15 })).toMatchObject({ kind: 'admitted' });
    });

    it('counts no tokens of a voided request, but that it was there', async () => {
      await load({ rpmLimit: 2, tpmLimit: 100 });
      await check(1, { tokens: 100 });
      await hotState.release(asked(1));
      await hotState.release(asked(1));
      expect(await check(2, { tokens: 100 })).toMatchObject({
        kind: 'admitted',
        remaining: { requestsPerMinute: { remaining: 0 }, tokensPerMinute: { remaining: 0 } },
      });
    });

    it('takes no correction of a minute that has passed', async () => {
      await load({ tpmLimit: 100 });
      await check(1, { tokens: 80 });
      await hotState.confirm({ ...asked(1), periodDay: '2026-11-23' });
      nowMs += leavesAfterMs;
      await check(2, { tokens: 90 });
      await hotState.deduct(asked(1), newer(2), 0);
      expect(await check(3, { tokens: 11 })).toMatchObject({ kind: 'denied' });
      expect(await check(3, { tokens: 10 })).toMatchObject({ kind: 'admitted' });
    });

    it('says that a request which is larger than the limit never passes', async () => {
      await load({ rpmLimit: 1, tpmLimit: 100 });
      expect(await check(1, { tokens: 101 })).toMatchObject({ limit: 'tokens_per_minute', freesInMs: null });
      await check(2);
      expect(await check(1, { tokens: 101 })).toMatchObject({
        limit: 'requests_per_minute',
        freesInMs: null,
      });
    });

    it('names the first limit, and the time until the last one frees', async () => {
      await load({ rpmLimit: 1, dailyQuota: 2 });
      await check(1);
      nowMs += 1_000;
      const tokens = { tokens: 60, apiKeyId: otherKey };
      expect(await check(2, { ...tokens, apiKey: { tpmLimit: 100 } })).toMatchObject({
        limit: 'requests_per_minute',
        freesInMs: leavesAfterMs - 1_000,
      });
      await hotState.project(quotaProjection({ version: 2, rpmLimit: 2, dailyQuota: 2 }));
      await check(2, { ...tokens, apiKey: { tpmLimit: 100 } });
      nowMs += 1_000;
      expect(await check(3, { ...tokens, apiKey: { tpmLimit: 100 } })).toMatchObject({
        limit: 'daily_requests',
        freesInMs: Date.parse('2026-11-24T00:00:00Z') - nowMs,
      });
      await hotState.project(quotaProjection({ version: 3, rpmLimit: 2 }));
      expect(await check(3, { ...tokens, apiKey: { tpmLimit: 100 } })).toMatchObject({
        limit: 'requests_per_minute',
        freesInMs: leavesAfterMs - 1_000,
      });
    });

    it('gives each API key its own minute within that of its tenant, and tells the tighter one', async () => {
      await load({ rpmLimit: 3 });
      const apiKey = { rpmLimit: 1 };
      expect(await check(1, { apiKey })).toMatchObject({
        remaining: { requestsPerMinute: { limit: 1, remaining: 0 } },
      });
      expect(await check(2, { apiKey })).toMatchObject({ limit: 'api_key_requests_per_minute' });
      expect(await check(2, { apiKey, apiKeyId: otherKey })).toMatchObject({ kind: 'admitted' });
      expect(await check(3)).toMatchObject({ remaining: { requestsPerMinute: { limit: 3, remaining: 0 } } });
      expect(await check(4)).toMatchObject({ limit: 'requests_per_minute' });
    });

    it.each<[string, Asked]>([
      ['tokens of the API key', { apiKey: { tpmLimit: 9 } }],
      ['open requests', { maxOpenRequests: 1 }],
      ['open requests of the API key', { apiKey: { maxOpenRequests: 1 } }],
    ])('changes no counter where the last limit denies: %s', async (_, last) => {
      await load({ rpmLimit: 10, tpmLimit: 1_000 });
      const generous = { rpmLimit: 10, tpmLimit: 1_000, maxOpenRequests: 10 };
      const all = { tokens: 10, maxOpenRequests: 10, apiKey: generous };
      const first = (await check(1, all)) as Admitted;
      const before = await hotState.look(tenantId);
      const denied = await check(2, { ...all, ...last, apiKey: { ...generous, ...last.apiKey } });
      expect(denied).toMatchObject({ kind: 'denied' });
      expect(await hotState.look(tenantId)).toEqual(before);
      expect(await check(1, all)).toEqual(first);
      expect(await check(3, all)).toMatchObject({
        remaining: {
          available: 98n,
          dailyRequests: 998,
          monthlyRequests: 29_998,
          requestsPerMinute: { remaining: 8 },
          tokensPerMinute: { remaining: 980 },
        },
      });
    });

    it('counts a repeated request once, with the tokens of the last question', async () => {
      await load({ rpmLimit: 5, tpmLimit: 100 });
      const apiKey = { tpmLimit: 100 };
      await check(1, { tokens: 90, apiKey });
      expect(await check(1, { tokens: 20, apiKey })).toMatchObject({
        remaining: { requestsPerMinute: { remaining: 4 }, tokensPerMinute: { remaining: 80 } },
      });
      await check(2, { tokens: 50, apiKey });
      expect(await check(1, { tokens: 51, apiKey })).toMatchObject({
        kind: 'denied',
        limit: 'tokens_per_minute',
      });
      expect(await check(1, { tokens: 50, apiKey })).toMatchObject({
        kind: 'admitted',
        remaining: { requestsPerMinute: { remaining: 3 }, tokensPerMinute: { remaining: 0 } },
      });
      await hotState.release(asked(1));
      expect(await check(3, { tokens: 51, apiKey })).toMatchObject({ kind: 'denied' });
      expect(await check(3, { tokens: 50, apiKey })).toMatchObject({ kind: 'admitted' });
    });

    it('follows a limit that changes', async () => {
      await load({ rpmLimit: 1 });
      await check(1);
      await hotState.project(quotaProjection({ version: 2, rpmLimit: 2 }));
      expect(await check(2)).toMatchObject({ kind: 'admitted' });
      await hotState.project(quotaProjection({ version: 3, rpmLimit: 1 }));
      expect(await check(3)).toMatchObject({
        limit: 'requests_per_minute',
        remaining: { requestsPerMinute: { limit: 1, remaining: 0 } },
      });
      await hotState.project(quotaProjection({ version: 4, rpmLimit: null }));
      expect(await check(3)).toMatchObject({ kind: 'admitted', remaining: { requestsPerMinute: null } });
    });

    it('bounds how many requests are open at once, of the tenant and of an API key', async () => {
      await load({});
      const bounds = { maxOpenRequests: 3, apiKey: { maxOpenRequests: 2 } };
      await check(1, bounds);
      await check(2, bounds);
      expect(await check(3, bounds)).toMatchObject({ limit: 'api_key_open_requests', freesInMs: null });
      const other = { ...bounds, apiKeyId: otherKey };
      expect(await check(4, other)).toMatchObject({ kind: 'admitted' });
      expect(await check(5, other)).toMatchObject({ limit: 'open_requests', freesInMs: null });
      await hotState.release(asked(1));
      expect(await check(3, bounds)).toMatchObject({ kind: 'admitted' });
      await hotState.deduct(asked(4, { apiKeyId: otherKey }), newer(2), 1);
      expect(await check(6, other)).toMatchObject({ kind: 'admitted' });
    });

    it('counts what a snapshot brought back among the open requests of its API key', async () => {
      hotState = await create(clock);
      const pending = (name: string) => ({
        transactionId: asked(name).holder,
        apiKeyId: otherKey,
        traceId: asked(name).traceId,
        holdAmount: nano(1n),
        holdTokens: 0,
        periodDay: '2026-11-23',
      });
      await loadTenant(hotState, {
        projection: quotaProjection(),
        openPendings: [pending('a'), pending('b')],
      });
      const bounds = { apiKey: { maxOpenRequests: 2 } };
      expect(await check(1, { ...bounds, apiKeyId: otherKey })).toMatchObject({ kind: 'denied' });
      expect(await check(1, bounds)).toMatchObject({ kind: 'admitted' });
      await hotState.release(asked('a', { apiKeyId: otherKey }));
      expect(await check(2, { ...bounds, apiKeyId: otherKey })).toMatchObject({ kind: 'admitted' });
    });

    it('gives a session to one request at a time, and takes it back from one that is gone', async () => {
      await load({});
      const lockOf = (name: string, sessionId = 'chat-1', tenant = tenantId) => ({
        tenantId: tenant,
        sessionId,
        holder: asked(name).holder,
      });
      expect(await hotState.lockSession(lockOf('one'))).toBe(true);
      expect(await hotState.lockSession(lockOf('one'))).toBe(true);
      expect(await hotState.lockSession(lockOf('two'))).toBe(false);
      expect(await hotState.lockSession(lockOf('two', 'chat-2'))).toBe(true);
      expect(await hotState.lockSession(lockOf('three', 'chat-1', 'tenant-2' as TenantId))).toBe(true);
      await hotState.unlockSession(lockOf('two'));
      expect(await hotState.lockSession(lockOf('two'))).toBe(false);
      await hotState.unlockSession(lockOf('one'));
      await hotState.unlockSession(lockOf('one'));
      expect(await hotState.lockSession(lockOf('two'))).toBe(true);
    });

    it('observes: money and requests a day deny nothing and are told, limits a minute deny', async () => {
      await load({ dailyQuota: 1, rpmLimit: 2 });
      const observe = true;
      expect(await check(1, { observe })).toMatchObject({ kind: 'admitted', exceeded: null });
      const exceeding = { observe, holdAmount: nano(500n) };
      const first = await check(2, exceeding);
      expect(first).toMatchObject({
        kind: 'admitted',
        exceeded: 'balance',
        remaining: { available: -401n, dailyRequests: 0 },
      });
      expect(await check(2, exceeding)).toEqual(first);
      const confirmation = { ...asked(2, exceeding), periodDay: '2026-11-23' };
      expect(await hotState.confirm(confirmation)).toEqual({ kind: 'confirmed' });
      expect(await check(3, { observe })).toMatchObject({ limit: 'requests_per_minute' });
      await hotState.release(asked(2));
      const lost = { ...asked(4, exceeding), periodDay: '2026-11-23' };
      expect(await hotState.confirm(lost)).toEqual({ kind: 'confirmed' });
      expect(await check(4, exceeding)).toMatchObject({ kind: 'admitted', exceeded: 'balance' });
      expect(await hotState.confirm({ ...asked(5), periodDay: '2026-11-23' })).toMatchObject({
        kind: 'denied',
        limit: 'balance',
      });
    });
  });
}
