import { describe, expect, it } from 'vitest';
import type { ApiKeyQuota, QuotaType, ResetPeriod } from '../../domain/api-key-quota.ts';
import type { ApiKeyId, TenantId } from '../../domain/ids.ts';
import { parseAmount } from '../../domain/money.ts';
import { commitOf, day, deductionFor, draftFor, topUpFor, voidOf } from './drafts.contract.ts';
import type { GivenLedger } from './given-ledger.contract.ts';

const apiKeyId = 'key-1' as ApiKeyId;

/** What is counted in the quotas of API keys. */
export function contractOfApiKeyQuotas(given: GivenLedger): void {
  const { newTenant } = given;

  const quota = (quotaType: QuotaType, resetPeriod: ResetPeriod, total: bigint) => ({
    quotaType,
    resetPeriod,
    total,
  });
  const give = (tenantId: TenantId, ...quotas: readonly ReturnType<typeof quota>[]) =>
    given.ledger.setApiKeyQuotas(tenantId, apiKeyId, quotas);
  const used = (quotas: readonly ApiKeyQuota[]) =>
    Object.fromEntries(
      quotas.map(({ quotaType, resetPeriod, used }) => [`${quotaType} ${resetPeriod}`, used]),
    );
  const quotasOf = async (tenantId: TenantId) => {
    const snapshot = await given.ledger.snapshot(tenantId);
    return snapshot.kind === 'snapshot' ? snapshot.projection.apiKeyQuotas : [];
  };
  async function charge(tenantId: TenantId, periodDay = day, key = apiKeyId) {
    const draft = draftFor(tenantId, { apiKeyId: key, periodDay });
    await given.ledger.createPending(draft);
    return await given.ledger.commitPending(commitOf(draft, '0.25'));
  }

  describe('quotas of API keys', () => {
    it('count requests, tokens and amounts of a day, a month and a life, each for itself', async () => {
      const tenantId = await newTenant();
      await give(
        tenantId,
        quota('requests', 'daily', 10n),
        quota('tokens', 'monthly', 5_000n),
        quota('amount', 'never', 10n ** 20n),
        quota('amount', 'daily', 1n),
      );
      await charge(tenantId, '2026-11-30');
      const last = await charge(tenantId, '2026-11-30');
      const counted = {
        'requests daily': 2n,
        'tokens monthly': 600n,
        'amount never': parseAmount('0.5'),
        'amount daily': parseAmount('0.5'),
      };
      expect(used(await quotasOf(tenantId))).toEqual(counted);
      expect(last.kind === 'committed' && used(last.projection.apiKeyQuotas)).toEqual(counted);
      await charge(tenantId, '2026-12-01');
      expect(used(await quotasOf(tenantId))).toEqual({
        'requests daily': 1n,
        'tokens monthly': 300n,
        'amount never': parseAmount('0.75'),
        'amount daily': parseAmount('0.25'),
      });
    });

    it('count a request of yesterday that ends today in its life alone', async () => {
      const tenantId = await newTenant();
      await give(tenantId, quota('requests', 'daily', 10n), quota('requests', 'never', 10n));
      const late = draftFor(tenantId, { periodDay: '2026-11-30' });
      await given.ledger.createPending(late);
      await charge(tenantId, '2026-12-01');
      await given.ledger.commitPending(commitOf(late, '0.01'));
      expect(used(await quotasOf(tenantId))).toEqual({ 'requests daily': 1n, 'requests never': 2n });
      expect(await quotasOf(tenantId)).toContainEqual({
        apiKeyId,
        ...quota('requests', 'daily', 10n),
        used: 1n,
        period: '2026-12-01',
      });
    });

    it("count their own API key's charges, once each, and nothing that is voided or topped up", async () => {
      const tenantId = await newTenant();
      await give(tenantId, quota('amount', 'never', 10n));
      const draft = draftFor(tenantId);
      await given.ledger.createPending(draft);
      await Promise.all([1, 2].map(() => given.ledger.commitPending(commitOf(draft, '0.25'))));
      await given.ledger.commitPending(commitOf(draft, '0.25'));
      const voided = draftFor(tenantId);
      await given.ledger.createPending(voided);
      await given.ledger.voidPending(voidOf(voided));
      await charge(tenantId, day, 'another' as ApiKeyId);
      await given.ledger.credit(topUpFor(tenantId, '5'));
      await given.ledger.deduct(deductionFor(tenantId, '0.5', { apiKeyId }));
      expect(used(await quotasOf(tenantId))).toEqual({ 'amount never': parseAmount('0.75') });
    });

    it('go on counting where a change leaves them, and are told when they are taken away', async () => {
      const tenantId = await newTenant();
      await give(tenantId, quota('requests', 'daily', 10n), quota('tokens', 'daily', 10n));
      await charge(tenantId);
      const changed = await give(tenantId, quota('requests', 'daily', 20n), quota('requests', 'never', 5n));
      const told = changed.kind === 'changed' ? changed.projection.apiKeyQuotas : [];
      expect(told).toHaveLength(3);
      expect(told).toContainEqual({ apiKeyId, ...quota('requests', 'daily', 20n), used: 1n, period: day });
      expect(told).toContainEqual({ apiKeyId, ...quota('requests', 'never', 5n), used: 0n, period: null });
      expect(told.find((one) => one.quotaType === 'tokens')).toMatchObject({ total: null });
      expect(used(await quotasOf(tenantId))).toEqual({ 'requests daily': 1n, 'requests never': 0n });
    });

    it('count each of many charges at once', async () => {
      const tenantId = await newTenant();
      await give(tenantId, quota('requests', 'monthly', 10n));
      const answers = await Promise.all(Array.from({ length: 50 }, () => charge(tenantId)));
      expect(used(await quotasOf(tenantId))).toEqual({ 'requests monthly': 50n });
      const told = answers.map((it) =>
        it.kind === 'committed' ? [it.projection.version, it.projection.apiKeyQuotas[0]?.used] : [],
      );
      // What is told of a version is what the quota had counted at it: as many requests as `seq` says.
      expect(new Set(told.map(String)).size).toBe(new Set(told.map(([version]) => version)).size);
    });

    it('say that a tenant is unknown', async () => {
      expect(await give('nobody' as TenantId, quota('requests', 'daily', 1n))).toEqual({
        kind: 'unknown_tenant',
      });
    });
  });

  describe('a reset', () => {
    it('begins the counters that it names anew, in their period, and no others', async () => {
      const tenantId = await newTenant();
      await give(tenantId, quota('requests', 'daily', 10n), quota('amount', 'never', 10n));
      await charge(tenantId);
      const answer = await given.ledger.resetCounters(tenantId, {
        daily: true,
        monthly: false,
        apiKeyQuotas: [
          { apiKeyId, quotaType: 'amount', resetPeriod: 'never' },
          { apiKeyId, quotaType: 'tokens', resetPeriod: 'never' },
        ],
      });
      expect(answer).toMatchObject({
        kind: 'changed',
        projection: { dailyUsed: 0, monthlyUsed: 1, dailyPeriod: day, apiKeyQuotas: [{ used: 0n }] },
      });
      expect(used(await quotasOf(tenantId))).toEqual({ 'requests daily': 1n, 'amount never': 0n });
      await charge(tenantId);
      expect(used(await quotasOf(tenantId))).toEqual({
        'requests daily': 2n,
        'amount never': parseAmount('0.25'),
      });
    });

    it('says that a tenant is unknown', async () => {
      const nothing = { daily: true, monthly: true, apiKeyQuotas: [] };
      expect(await given.ledger.resetCounters('nobody' as TenantId, nothing)).toEqual({
        kind: 'unknown_tenant',
      });
    });
  });
}
