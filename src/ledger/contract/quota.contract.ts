import { describe, expect, it } from 'vitest';
import type { TenantId } from '../../domain/ids.ts';
import { parseAmount } from '../../domain/money.ts';
import { periodAt } from '../../domain/quota.ts';
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

    it.each([
      ['America/New_York', '2026-11-23', '2026-11-24T05:00:00.000Z', '2026-12-01T05:00:00.000Z'],
      // A day of 23 hours, in a month that begins and ends at different offsets; then one of 25.
      ['Europe/Berlin', '2026-03-29', '2026-03-29T22:00:00.000Z', '2026-03-31T22:00:00.000Z'],
      ['America/New_York', '2026-11-01', '2026-11-02T05:00:00.000Z', '2026-12-01T05:00:00.000Z'],
      // Days of 23.5 and 24.5 hours.
      ['Australia/Lord_Howe', '2026-10-04', '2026-10-04T13:00:00.000Z', '2026-10-31T13:00:00.000Z'],
      ['Australia/Lord_Howe', '2026-04-05', '2026-04-05T13:30:00.000Z', '2026-04-30T13:30:00.000Z'],
      ['Asia/Shanghai', '2028-02-29', '2028-02-29T16:00:00.000Z', '2028-02-29T16:00:00.000Z'],
      ['Europe/Berlin', '2026-12-31', '2026-12-31T23:00:00.000Z', '2026-12-31T23:00:00.000Z'],
    ])("resets at the tenant's own midnight: %s on %s", async (timeZone, periodDay, dayEnds, monthEnds) => {
      const tenantId = await newTenant('100', timeZone);
      await useOn(tenantId, periodDay);
      // As hot state and the admin reckon it.
      const period = periodAt(Date.parse(dayEnds) - 1, timeZone);
      expect(period).toMatchObject({
        day: periodDay,
        dayEndsAtMs: Date.parse(dayEnds),
        monthEndsAtMs: Date.parse(monthEnds),
      });
      const row = await given.driver.db
        .selectFrom('tenant_quota')
        .select(['daily_reset_at', 'monthly_reset_at'])
        .where('tenant_id', '=', tenantId)
        .executeTakeFirstOrThrow();
      expect(row.daily_reset_at?.toISOString()).toBe(dayEnds);
      expect(row.monthly_reset_at?.toISOString()).toBe(monthEnds);
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
