import { describe, expect, it } from 'vitest';
import type { TenantId } from '../../domain/ids.ts';
import { parseAmount } from '../../domain/money.ts';
import { commitOf, deductionFor, draftFor } from './drafts.contract.ts';
import type { GivenLedger } from './given-ledger.contract.ts';

/** What is counted in which of the tenant's days and months, and the limits on it. */
export function contractOfQuota(given: GivenLedger): void {
  const { newTenant, quotaOf } = given;

  describe('periods', () => {
    const useOn = (tenantId: TenantId, periodDay: string) =>
      given.ledger.deduct(deductionFor(tenantId, '0.01', { periodDay }));

    it('starts a new day and a new month at one, whatever was used before', async () => {
      const tenantId = await newTenant();
      for (const periodDay of ['2026-11-29', '2026-11-30', '2026-11-30']) await useOn(tenantId, periodDay);
      expect(await quotaOf(tenantId)).toMatchObject({ dailyUsed: 2, monthlyUsed: 3 });
      await useOn(tenantId, '2026-12-01');
      expect(await quotaOf(tenantId)).toMatchObject({
        dailyUsed: 1,
        dailyPeriod: '2026-12-01',
        monthlyUsed: 1,
        monthlyPeriod: '2026-12',
      });
    });

    it('does not count a request of yesterday that ends today in today', async () => {
      const tenantId = await newTenant();
      const late = draftFor(tenantId, { periodDay: '2026-11-30' });
      await given.ledger.createPending(late);
      await useOn(tenantId, '2026-12-01');
      await given.ledger.commitPending(commitOf(late, '0.01'));
      expect(await quotaOf(tenantId)).toMatchObject({
        dailyUsed: 1,
        dailyPeriod: '2026-12-01',
        monthlyUsed: 1,
        monthlyPeriod: '2026-12',
      });
    });

    it("resets at the tenant's own midnight", async () => {
      const tenantId = await newTenant('100', 'America/New_York');
      await useOn(tenantId, '2026-11-23');
      const row = await given.driver.db
        .selectFrom('tenant_quota')
        .select(['daily_reset_at', 'monthly_reset_at'])
        .where('tenant_id', '=', tenantId)
        .executeTakeFirstOrThrow();
      expect(row.daily_reset_at?.toISOString()).toBe('2026-11-24T05:00:00.000Z');
      expect(row.monthly_reset_at?.toISOString()).toBe('2026-12-01T05:00:00.000Z');
    });
  });

  describe('limits', () => {
    it('change one by one, null is unlimited, and each change is a new version', async () => {
      const tenantId = await newTenant();
      const before = await quotaOf(tenantId);
      const changed = await given.ledger.changeLimits(tenantId, {
        creditLimit: parseAmount('5'),
        dailyQuota: null,
        rateMultiplierPpm: 1_250_000n,
      });
      expect(changed).toEqual({
        kind: 'changed',
        projection: {
          ...before,
          version: before.version + 1,
          creditLimit: parseAmount('5'),
          dailyQuota: null,
          rateMultiplierPpm: 1_250_000n,
        },
      });
    });
  });
}
