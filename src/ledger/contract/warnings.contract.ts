import { describe, expect, it } from 'vitest';
import type { ApiKeyId, TenantId, TransactionId } from '../../domain/ids.ts';
import { parseAmount } from '../../domain/money.ts';
import { createSqlLedger } from '../sql-ledger.ts';
import { commitOf, day, deductionFor, draftFor, topUpFor, voidOf } from './drafts.contract.ts';
import type { GivenLedger } from './given-ledger.contract.ts';

const apiKeyId = 'key-1' as ApiKeyId;

/** What is warned of, once a crossing. */
export function contractOfWarnings(given: GivenLedger): void {
  const { newTenant } = given;

  /** Every event of the tenant so far, oldest first, in short. */
  async function warnings(tenantId: TenantId): Promise<string[]> {
    const rows = await eventsOf(tenantId);
    return rows.map(({ type, data }) => `${type} ${data.threshold_percent}%: ${data.left} of ${data.of}`);
  }
  const eventsOf = (tenantId: TenantId) =>
    given.driver.db
      .selectFrom('outbox')
      .select(['type', 'data'])
      .where('tenant_id', '=', tenantId)
      .orderBy('position')
      .execute();
  const spend = (tenantId: TenantId, amount: string, periodDay = day) =>
    given.ledger.deduct(deductionFor(tenantId, amount, { periodDay }));
  const without = { dailyQuota: null, monthlyQuota: null };

  describe('warnings', () => {
    it('come once when the balance reaches a threshold, and name what is left', async () => {
      const tenantId = await newTenant('100');
      for (const amount of ['79.999999999', '0.000000001', '1', '13', '1', '3', '1', '2']) {
        const draft = draftFor(tenantId);
        await given.ledger.createPending(draft);
        await given.ledger.commitPending(commitOf(draft, amount));
      }
      expect(await warnings(tenantId)).toEqual([
        'balance.low 20%: 20 of 100',
        'balance.low 5%: 5 of 100',
        'balance.low 0%: -1 of 100',
      ]);
      const [event] = await eventsOf(tenantId);
      expect(event?.data).toEqual({
        tenant_id: tenantId,
        threshold_percent: 20,
        left: '20',
        of: '100',
        currency: 'USD',
        version: 4,
      });
    });

    it('are one where a step crosses several thresholds, of the lowest', async () => {
      const tenantId = await newTenant('100');
      await spend(tenantId, '96');
      expect(await warnings(tenantId)).toEqual(['balance.low 5%: 4 of 100']);
    });

    it('come once, however many ledgers commit at once', async () => {
      const tenantId = await newTenant('100');
      const ledgers = [given.ledger, createSqlLedger({ driver: given.driver })];
      const drafts = Array.from({ length: 120 }, () => draftFor(tenantId));
      await Promise.all(drafts.map((draft) => given.ledger.createPending(draft)));
      await Promise.all(
        [...drafts, ...drafts].map((draft, index) => ledgers[index % 2]?.commitPending(commitOf(draft, '1'))),
      );
      const thresholds = (await eventsOf(tenantId)).map(({ data }) => data.threshold_percent);
      // A batch may cross more than one, and then names the lowest.
      expect(thresholds.at(-1)).toBe(0);
      expect(new Set(thresholds).size).toBe(thresholds.length);
      expect(thresholds).toEqual([...thresholds].sort((a, b) => Number(b) - Number(a)));
    });

    it('come again after a credit, measured by what it made of the balance', async () => {
      const tenantId = await newTenant('100');
      await spend(tenantId, '90');
      await given.ledger.credit(topUpFor(tenantId, '40'));
      await spend(tenantId, '39');
      await spend(tenantId, '1');
      await given.ledger.credit(topUpFor(tenantId, '-10', { type: 'ADJUSTMENT' }));
      expect(await warnings(tenantId)).toEqual([
        'balance.low 20%: 10 of 100',
        'balance.low 20%: 10 of 50',
        'balance.low 0%: 0 of 50',
      ]);
    });

    it('measure what was there before there were warnings by the balance of then', async () => {
      const tenantId = await newTenant('100');
      await given.driver.db
        .updateTable('tenant_quota')
        .set({ warning_base: null })
        .where('tenant_id', '=', tenantId)
        .execute();
      await spend(tenantId, '79');
      await spend(tenantId, '1');
      expect(await warnings(tenantId)).toEqual(['balance.low 20%: 20 of 100']);
    });

    it('measure a batch by what follows its last credit', async () => {
      const tenantId = await newTenant('10');
      await Promise.all([
        spend(tenantId, '10'),
        given.ledger.credit(topUpFor(tenantId, '1000')),
        spend(tenantId, '900'),
      ]);
      const all = await warnings(tenantId);
      expect(all.at(-1)).toBe('balance.low 20%: 100 of 1000');
    });

    it('come of a reversal that takes a credit back, and of none that gives money back', async () => {
      const tenantId = await newTenant('0');
      const credited = await given.ledger.credit(topUpFor(tenantId, '100'));
      const spent = await spend(tenantId, '50');
      const reverse = (transactionId: TransactionId) => {
        const { id, traceId, requestHash } = draftFor(tenantId);
        return given.ledger.reverse({ tenantId, transactionId, id, traceId, requestHash, description: null });
      };
      if (spent.kind !== 'posted' || credited.kind !== 'posted') throw new Error('was not posted');
      await reverse(spent.transactionId);
      expect(await warnings(tenantId)).toEqual([]);
      await reverse(credited.transactionId);
      expect(await warnings(tenantId)).toEqual(['balance.low 0%: 0 of 100']);
    });

    it('tell of credit apart from the balance', async () => {
      const tenantId = await newTenant('10');
      await given.ledger.changeLimits(tenantId, { creditLimit: parseAmount('50') });
      await spend(tenantId, '10');
      await spend(tenantId, '40');
      await spend(tenantId, '9');
      await spend(tenantId, '1');
      expect(await warnings(tenantId)).toEqual([
        'balance.low 0%: 0 of 10',
        'credit.low 20%: 10 of 50',
        'credit.low 5%: 1 of 50',
        'credit.low 0%: 0 of 50',
      ]);
    });

    it('tell of requests a day and a month, anew in each of them', async () => {
      const tenantId = await newTenant('100');
      await given.ledger.changeLimits(tenantId, {
        dailyQuota: 1,
        monthlyQuota: 5,
        warningThresholds: [80, 0],
      });
      for (const periodDay of ['2026-11-29', '2026-11-30', '2026-11-30', '2026-11-30', '2026-12-01'])
        await spend(tenantId, '0', periodDay);
      const events = (await eventsOf(tenantId)).map(
        ({ data }) =>
          `${data.reset_period} ${data.period} ${data.threshold_percent}%: ${data.left} of ${data.of}`,
      );
      expect(events.filter((it) => it.startsWith('daily'))).toEqual([
        'daily 2026-11-29 0%: 0 of 1',
        'daily 2026-11-30 0%: 0 of 1',
        'daily 2026-12-01 0%: 0 of 1',
      ]);
      expect(events.filter((it) => it.startsWith('monthly'))).toEqual([
        'monthly 2026-11 80%: 4 of 5',
        'monthly 2026-12 80%: 4 of 5',
      ]);
    });

    it('come again after a reset of the counter, which warns of nothing itself', async () => {
      const tenantId = await newTenant('100');
      await given.ledger.changeLimits(tenantId, { dailyQuota: 1, monthlyQuota: null });
      await spend(tenantId, '0');
      await given.ledger.resetCounters(tenantId, { daily: true, monthly: false, apiKeyQuotas: [] });
      expect(await warnings(tenantId)).toEqual(['quota.low 0%: 0 of 1']);
      await spend(tenantId, '0');
      expect(await warnings(tenantId)).toEqual(['quota.low 0%: 0 of 1', 'quota.low 0%: 0 of 1']);
    });

    it('tell of the quotas of API keys, and not of a request of a period that is over', async () => {
      const tenantId = await newTenant('100');
      await given.ledger.changeLimits(tenantId, without);
      await given.ledger.setApiKeyQuotas(tenantId, apiKeyId, [
        { quotaType: 'amount', resetPeriod: 'never', total: parseAmount('1') },
        { quotaType: 'requests', resetPeriod: 'daily', total: 2n },
        { quotaType: 'tokens', resetPeriod: 'monthly', total: 1_000n },
      ]);
      const late = draftFor(tenantId, { periodDay: '2026-11-30' });
      await given.ledger.createPending(late);
      for (const amount of ['0.5', '0.3', '0']) {
        const draft = draftFor(tenantId, { periodDay: '2026-12-01' });
        await given.ledger.createPending(draft);
        await given.ledger.commitPending(commitOf(draft, amount));
      }
      await given.ledger.commitPending(commitOf(late, '0.15'));
      const events = (await eventsOf(tenantId)).map(({ type, data }) => [
        type,
        `${data.api_key_id} ${data.quota_type} ${data.period ?? 'for life'}`,
        `${data.threshold_percent}%: ${data.left} of ${data.of}`,
      ]);
      expect(new Set(events.map(String))).toEqual(
        new Set([
          'api_key_quota.low,key-1 amount for life,20%: 0.2 of 1',
          'api_key_quota.low,key-1 requests 2026-12-01,0%: 0 of 2',
          'api_key_quota.low,key-1 tokens 2026-12,20%: 100 of 1000',
          'api_key_quota.low,key-1 amount for life,5%: 0.05 of 1',
        ]),
      );
      expect(events).toHaveLength(4);
    });

    it("come at the tenant's own thresholds, and not at all where it has none", async () => {
      const tenantId = await newTenant('100');
      const [own, silent] = [[75, 50], []];
      await given.ledger.changeLimits(tenantId, { ...without, warningThresholds: own });
      expect(await given.ledger.snapshot(tenantId)).toMatchObject({ warningThresholds: own });
      await spend(tenantId, '30');
      await spend(tenantId, '60');
      await given.ledger.changeLimits(tenantId, { warningThresholds: silent });
      await spend(tenantId, '20');
      expect(await warnings(tenantId)).toEqual(['balance.low 75%: 70 of 100', 'balance.low 50%: 10 of 100']);
      await given.ledger.changeLimits(tenantId, { warningThresholds: null });
      expect(await given.ledger.snapshot(tenantId)).toMatchObject({ warningThresholds: null });
    });

    it('come of nothing but what is charged: no hold, no void, no repeat, no change of limits', async () => {
      const tenantId = await newTenant('100');
      const draft = draftFor(tenantId, { holdAmount: parseAmount('99') });
      await given.ledger.createPending(draft);
      await given.ledger.voidPending(voidOf(draft));
      await given.ledger.changeLimits(tenantId, { dailyQuota: 0, creditLimit: parseAmount('1') });
      expect(await warnings(tenantId)).toEqual([]);
      const deduction = deductionFor(tenantId, '90');
      for (let time = 0; time < 2; time++) await given.ledger.deduct(deduction);
      expect(await warnings(tenantId)).toEqual(['balance.low 20%: 10 of 100']);
    });
  });
}
