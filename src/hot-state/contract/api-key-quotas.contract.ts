import { beforeEach, describe, expect, it } from 'vitest';
import { loadTenant, plainKey, quotaProjection, ticketFor } from '../../../test/support/hot-state.ts';
import type { ApiKeyQuota } from '../../domain/api-key-quota.ts';
import type { ApiKeyId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import type { TenantSnapshot } from '../../ledger/ledger.ts';
import type { HotState, QuotaCheck } from '../hot-state.ts';
import {
  type CreateHotState,
  givenHotState,
  hold,
  holder,
  pendingOf,
  tenantId,
} from './given-hot-state.contract.ts';

const otherKey = 'api-key-2' as ApiKeyId;
const today = '2026-11-23';
const hourMs = 3_600_000;

const quotaOf = (
  quotaType: ApiKeyQuota['quotaType'],
  resetPeriod: ApiKeyQuota['resetPeriod'],
  total: bigint | null,
  changes: Partial<ApiKeyQuota> = {},
): ApiKeyQuota => ({
  apiKeyId: plainKey.apiKeyId,
  quotaType,
  resetPeriod,
  total,
  used: 0n,
  period: null,
  ...changes,
});

const rich = { balance: nano(1_000_000n), dailyQuota: null, monthlyQuota: null };

/** What every hot state guarantees of the quotas of API keys. */
export function describeApiKeyQuotas(create: CreateHotState): void {
  describe('quotas of API keys', () => {
    const { clock, loaded, time } = givenHotState(create);
    let hotState: HotState;

    beforeEach(async () => {
      hotState = await loaded(rich);
    });

    const tell = (version: number, ...apiKeyQuotas: readonly ApiKeyQuota[]) =>
      hotState.project(quotaProjection({ ...rich, version, apiKeyQuotas }));
    const asked = (name: string | number, changes: Partial<QuotaCheck> = {}) => ({
      ...hold(name),
      holdAmount: nano(10n),
      tokens: 100,
      ...changes,
    });
    const check = (name: string | number, changes?: Partial<QuotaCheck>) =>
      hotState.check(asked(name, changes));
    const settle = (name: string | number, changes: Partial<QuotaProjection>) =>
      hotState.deduct(hold(name), quotaProjection({ ...rich, ...changes }), 60);

    it('count an open request at the most that it may use, and each has to permit it', async () => {
      await tell(
        2,
        quotaOf('requests', 'daily', 3n),
        quotaOf('tokens', 'never', 250n),
        quotaOf('amount', 'monthly', 25n),
      );
      expect(await check(1)).toMatchObject({
        kind: 'admitted',
        remaining: { apiKey: { requests: 2n, tokens: 150n, amount: 15n } },
      });
      expect(await check(2)).toMatchObject({
        kind: 'admitted',
        remaining: { apiKey: { requests: 1n, tokens: 50n, amount: 5n } },
      });
      const before = await hotState.look(tenantId);
      expect(await check(3)).toMatchObject({ kind: 'denied', limit: 'api_key_tokens', freesInMs: null });
      expect(await check(3, { tokens: 50 })).toMatchObject({ kind: 'denied', limit: 'api_key_amount' });
      expect(await hotState.look(tenantId)).toEqual(before);
      expect(await check(3, { tokens: 50, holdAmount: nano(5n) })).toMatchObject({
        kind: 'admitted',
        remaining: { apiKey: { requests: 0n, tokens: 0n, amount: 0n } },
      });
      expect(await check(4, { tokens: 0, holdAmount: nano(0n) })).toMatchObject({
        kind: 'denied',
        limit: 'api_key_requests',
      });
    });

    it('leave the other API keys of the tenant alone', async () => {
      await tell(2, quotaOf('requests', 'never', 0n));
      expect(await check(1)).toMatchObject({ kind: 'denied', limit: 'api_key_requests', freesInMs: null });
      expect(await check(2, { apiKeyId: otherKey })).toMatchObject({
        kind: 'admitted',
        remaining: { apiKey: { requests: null } },
      });
    });

    it('take what is committed in the place of what was open, and give back what was voided', async () => {
      await tell(2, quotaOf('tokens', 'daily', 250n));
      await check(1);
      await check(2);
      const used = quotaOf('tokens', 'daily', 250n, { used: 60n, period: today });
      await settle(1, { version: 3, apiKeyQuotas: [used] });
      expect(await check(3, { tokens: 90 })).toMatchObject({ remaining: { apiKey: { tokens: 0n } } });
      await hotState.release(hold(2));
      expect(await check(4)).toMatchObject({ remaining: { apiKey: { tokens: 0n } } });
    });

    it('begin anew with the day and the month of the tenant, and never for life', async () => {
      const full = { used: 1n };
      await tell(
        2,
        quotaOf('requests', 'daily', 1n, { ...full, period: today }),
        quotaOf('tokens', 'monthly', 100n, { used: 100n, period: '2026-11-01' }),
      );
      expect(await check(1)).toMatchObject({
        limit: 'api_key_requests',
        freesInMs: Date.parse('2026-12-01T00:00:00Z') - time.nowMs,
      });
      expect(await check(1, { tokens: 0 })).toMatchObject({ kind: 'denied', freesInMs: 12 * hourMs });
      time.nowMs = Date.parse('2026-11-24T00:00:00Z');
      expect(await check(1, { tokens: 0 })).toMatchObject({ kind: 'admitted' });
      await hotState.release(hold(1));
      time.nowMs = Date.parse('2026-12-01T00:00:00Z');
      expect(await check(2)).toMatchObject({
        kind: 'admitted',
        remaining: { apiKey: { requests: 0n, tokens: 0n } },
      });
      await tell(3, quotaOf('requests', 'never', 1n, full));
      expect(await check(3)).toMatchObject({ kind: 'denied', freesInMs: null });
    });

    it('count a request that is open over midnight in the day in which it was admitted', async () => {
      await tell(2, quotaOf('requests', 'daily', 1n), quotaOf('amount', 'monthly', 15n));
      await check(1);
      await hotState.confirm({ ...asked(1), periodDay: today });
      time.nowMs = Date.parse('2026-11-24T00:00:01Z');
      expect(await check(2, { holdAmount: nano(5n) })).toMatchObject({
        kind: 'admitted',
        remaining: { apiKey: { requests: 0n, amount: 0n } },
      });
    });

    it('are each replaced by what is newer of them, in whichever order it comes', async () => {
      await tell(2, quotaOf('requests', 'never', 10n), quotaOf('tokens', 'never', 1_000n));
      await tell(5, quotaOf('requests', 'never', 10n, { used: 4n }));
      await tell(
        4,
        quotaOf('requests', 'never', 10n, { used: 3n }),
        quotaOf('tokens', 'never', 1_000n, { used: 300n }),
      );
      await tell(3, quotaOf('tokens', 'never', 1_000n, { used: 200n }));
      expect(await check(1)).toMatchObject({ remaining: { apiKey: { requests: 5n, tokens: 600n } } });
    });

    it('that were taken away stay away, whatever an older projection tells', async () => {
      await tell(2, quotaOf('requests', 'never', 0n));
      await tell(4, quotaOf('requests', 'never', null));
      await tell(3, quotaOf('requests', 'never', 0n, { used: 1n }));
      expect(await check(1)).toMatchObject({ kind: 'admitted', remaining: { apiKey: { requests: null } } });
    });

    it('begin anew where the admin says so, while open requests go on counting', async () => {
      await tell(2, quotaOf('requests', 'daily', 2n, { used: 1n, period: today }));
      await check(1);
      expect(await check(2)).toMatchObject({ kind: 'denied', limit: 'api_key_requests' });
      await tell(3, quotaOf('requests', 'daily', 2n, { used: 0n, period: today }));
      expect(await check(2)).toMatchObject({ kind: 'admitted', remaining: { apiKey: { requests: 0n } } });
      expect(await check(3)).toMatchObject({ kind: 'denied', limit: 'api_key_requests' });
    });

    it('come with a snapshot, as do the open requests that count in them', async () => {
      hotState = await create(clock);
      const openPendings: TenantSnapshot['openPendings'] = [
        { ...pendingOf('open', 10n), holdTokens: 100 },
        { ...pendingOf('other', 10n), apiKeyId: otherKey, holdTokens: 100 },
      ];
      const apiKeyQuotas = [
        quotaOf('tokens', 'never', 250n, { used: 20n }),
        quotaOf('requests', 'daily', 3n),
      ];
      await loadTenant(hotState, { projection: quotaProjection({ ...rich, apiKeyQuotas }), openPendings });
      expect(await hotState.look(tenantId)).toMatchObject({ projection: { apiKeyQuotas: { length: 2 } } });
      expect(await check(1)).toMatchObject({ remaining: { apiKey: { requests: 1n, tokens: 30n } } });
      await hotState.release(hold('open'));
      expect(await check(2)).toMatchObject({ remaining: { apiKey: { requests: 1n, tokens: 30n } } });
    });

    it('that a snapshot no longer tells are gone, and one that is newer than it stays', async () => {
      hotState = await create(clock);
      const ticket = await ticketFor(hotState, tenantId);
      await tell(2, quotaOf('requests', 'never', 0n));
      await tell(4, quotaOf('tokens', 'never', 70n));
      const projection = quotaProjection({ ...rich, version: 3 });
      await hotState.load({ kind: 'snapshot', projection, openPendings: [] }, ticket!);
      expect(await check(1, { tokens: 50 })).toMatchObject({
        kind: 'admitted',
        remaining: { apiKey: { requests: null, tokens: 20n } },
      });
    });

    it('deny a confirmation whose hold was lost and whose place was taken since, and count it where not', async () => {
      const confirm = (name: string, amount: bigint) =>
        hotState.confirm({ ...asked(name), holdAmount: nano(amount), periodDay: today });
      await tell(2, quotaOf('amount', 'never', 25n), quotaOf('tokens', 'never', 10_000n));
      await check('lost');
      time.nowMs += 60_000;
      await check('taker', { holdAmount: nano(16n) });
      expect(await confirm('lost', 10n)).toMatchObject({ kind: 'denied', limit: 'api_key_amount' });
      for (let time = 0; time < 2; time++) expect(await confirm('anew', 9n)).toEqual({ kind: 'confirmed' });
      expect(await check('next', { holdAmount: nano(1n) })).toMatchObject({
        kind: 'denied',
        remaining: { apiKey: { amount: 0n, tokens: 9_800n } },
      });
    });

    it('are corrected when its holder asks for more, which counts no second request', async () => {
      await tell(
        2,
        quotaOf('requests', 'never', 1n),
        quotaOf('tokens', 'never', 150n),
        quotaOf('amount', 'never', 15n),
      );
      await check(1);
      expect(await check(1, { tokens: 151 })).toMatchObject({ kind: 'denied', limit: 'api_key_tokens' });
      expect(await check(1, { holdAmount: nano(16n) })).toMatchObject({
        kind: 'denied',
        limit: 'api_key_amount',
      });
      expect(await check(1, { tokens: 150, holdAmount: nano(15n) })).toMatchObject({
        kind: 'admitted',
        remaining: { apiKey: { requests: 0n, tokens: 0n, amount: 0n } },
      });
    });

    it('end the growth of a hold at the amount that the API key may spend', async () => {
      const extend = (amount: bigint) =>
        hotState.extend({ ...asked(1), holdAmount: nano(amount), periodDay: today });
      await tell(2, quotaOf('amount', 'daily', 30n));
      await check(1);
      expect(await extend(31n)).toEqual({ kind: 'denied', limit: 'api_key_amount', available: 20n });
      expect(await extend(30n)).toEqual({ kind: 'extended', available: 0n });
      expect(await check(2, { holdAmount: nano(1n) })).toMatchObject({
        kind: 'denied',
        limit: 'api_key_amount',
      });
      await hotState.project(quotaProjection({ ...rich, balance: nano(35n), version: 3 }));
      await tell(4, quotaOf('amount', 'daily', 100n));
      await hotState.project(quotaProjection({ ...rich, balance: nano(35n), version: 5 }));
      expect(await extend(36n)).toEqual({ kind: 'denied', limit: 'balance', available: 5n });
    });

    it('deny nothing where they are observed, and tell which would have', async () => {
      await tell(2, quotaOf('tokens', 'never', 50n), quotaOf('amount', 'never', 1n));
      expect(await check(1, { observe: true })).toMatchObject({
        kind: 'admitted',
        exceeded: 'api_key_tokens',
        remaining: { apiKey: { tokens: -50n, amount: -9n } },
      });
    });

    it('change nothing of the other limits where one of them denies', async () => {
      const projection = { ...rich, rpmLimit: 10, tpmLimit: 1_000, dailyQuota: 10, monthlyQuota: 10 };
      const limits = { maxOpenRequests: 5, apiKey: { rpmLimit: 10, tpmLimit: 1_000, maxOpenRequests: 5 } };
      const apiKeyQuotas = [
        quotaOf('requests', 'daily', 9n),
        quotaOf('tokens', 'monthly', 10_000n),
        quotaOf('amount', 'never', 9n),
      ];
      hotState = await loaded({ ...projection, version: 2, apiKeyQuotas });
      const first = await check(1, { limits, holdAmount: nano(1n) });
      const second = await check(2, { limits, holdAmount: nano(1n) });
      await hotState.release(hold(2));
      for (const name of [3, 4, 5])
        expect(await check(name, { limits })).toMatchObject({ kind: 'denied', limit: 'api_key_amount' });
      expect(first).toMatchObject({ kind: 'admitted' });
      expect(second).toMatchObject({ remaining: { requestsPerMinute: { remaining: 8 } } });
      expect(await check(6, { limits, holdAmount: nano(1n) })).toMatchObject({
        remaining: {
          dailyRequests: 8,
          requestsPerMinute: { remaining: 7 },
          tokensPerMinute: { remaining: 800 },
          apiKey: { requests: 7n, tokens: 9_800n, amount: 7n },
        },
      });
      expect(await hotState.look(tenantId)).toMatchObject({ openHolds: 2, held: 2n });
    });

    it('give one request the last place, however many ask for it', async () => {
      await tell(2, quotaOf('requests', 'daily', 50n, { used: 30n, period: today }));
      const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => check(index)));
      expect(answers.filter(({ kind }) => kind === 'admitted')).toHaveLength(20);
    });

    it('are settled with their request: a late repeat of its check holds nothing', async () => {
      await tell(2, quotaOf('tokens', 'never', 100n));
      await check(1);
      await hotState.release(hold(1));
      expect(await check(1)).toEqual({ kind: 'settled' });
      expect(await check(2, { holder: holder('another') })).toMatchObject({ kind: 'admitted' });
    });
  });
}
