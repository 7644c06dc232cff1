import { randomUUIDv7 } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ApiKeyId,
  hashRequest,
  type InstanceId,
  type TenantId,
  type TraceId,
  type TransactionId,
} from '../domain/ids.ts';
import { formatAmount, nano, parseAmount, parseRate } from '../domain/money.ts';
import type { Receipt } from '../domain/receipt.ts';
import type { Transaction, UsageRecord } from '../domain/transaction.ts';
import type { Driver } from './drivers/driver.ts';
import type { Commit, Deduction, Ledger, PendingDraft, TopUp, Void } from './ledger.ts';
import { createSqlLedger } from './sql-ledger.ts';

const day = '2026-11-23';
const record: UsageRecord = {
  outcome: 'completed',
  stream: false,
  streamCompleted: null,
  streamError: null,
  finishReason: 'stop',
  latencyMs: 12.5,
  timeToFirstByteMs: 3.25,
};

const rates = { input: parseRate('0.001', 1000), output: parseRate('0.002', 1000) };

function draftFor(tenantId: TenantId, changes: Partial<PendingDraft> = {}): PendingDraft {
  const traceId = (changes.traceId ?? randomUUIDv7()) as TraceId;
  return {
    id: randomUUIDv7() as TransactionId,
    tenantId,
    apiKeyId: 'key-1' as ApiKeyId,
    traceId,
    requestHash: hashRequest(traceId),
    holdAmount: parseAmount('0.01'),
    currency: 'USD',
    provider: 'sim',
    model: 'sim-small',
    rates: { rates },
    multiplierPpm: 1_000_000n,
    inputPrice: parseRate('0.001', 1000),
    outputPrice: parseRate('0.002', 1000),
    periodDay: day,
    expiresAtMs: Date.now() + 60_000,
    owner: 'instance-1' as InstanceId,
    ...changes,
  };
}

const receipt: Receipt = {
  lines: [
    { usageClass: 'input', units: 100, rate: rates.input, chargedAs: 'input', model: null },
    { usageClass: 'output', units: 200, rate: rates.output, chargedAs: 'output', model: null },
  ],
  aboveInputTokens: null,
  serviceTier: null,
  serviceTierIsPriced: true,
  statedCost: null,
  reported: null,
};

function commitOf(draft: PendingDraft, amount: string, changes: Partial<Commit> = {}): Commit {
  return {
    tenantId: draft.tenantId,
    traceId: draft.traceId,
    transactionId: draft.id,
    amount: parseAmount(amount),
    metered: { usage: { input: 100, output: 200 }, method: 'usage' },
    costAmount: null,
    provider: null,
    rates,
    receipt,
    record,
    ...changes,
  };
}

function voidOf(draft: PendingDraft): Void {
  return {
    tenantId: draft.tenantId,
    traceId: draft.traceId,
    transactionId: draft.id,
    description: 'upstream refused',
    record: { ...record, outcome: 'upstream_refused' },
  };
}

function topUpFor(tenantId: TenantId, amount: string, changes: Partial<TopUp> = {}): TopUp {
  const traceId = (changes.traceId ?? randomUUIDv7()) as TraceId;
  return {
    id: randomUUIDv7() as TransactionId,
    tenantId,
    traceId,
    requestHash: hashRequest(traceId, amount),
    type: 'TOPUP',
    amount: parseAmount(amount),
    description: null,
    ...changes,
  };
}

function deductionFor(tenantId: TenantId, amount: string, changes: Partial<Deduction> = {}): Deduction {
  const traceId = (changes.traceId ?? randomUUIDv7()) as TraceId;
  return {
    id: randomUUIDv7() as TransactionId,
    tenantId,
    apiKeyId: null,
    traceId,
    requestHash: hashRequest(traceId, amount),
    amount: parseAmount(amount),
    metered: null,
    model: null,
    periodDay: day,
    description: null,
    ...changes,
  };
}

/** Every row of the tenant, oldest first. */
async function historyOf(ledger: Ledger, tenantId: TenantId): Promise<Transaction[]> {
  return [...(await ledger.list({ tenantId, limit: 10_000 }))].reverse();
}

/** Invariant 1: signed amounts sum to the balance, `seq` has no gap, and the chain of balances holds. */
async function expectChain(ledger: Ledger, tenantId: TenantId): Promise<void> {
  const snapshot = await ledger.snapshot(tenantId);
  if (snapshot.kind !== 'snapshot') throw new Error('no such tenant');
  const committed = (await historyOf(ledger, tenantId))
    .filter((transaction) => transaction.status === 'COMMITTED')
    .sort((a, b) => a.seq - b.seq);
  let balance = 0n;
  for (const [index, transaction] of committed.entries()) {
    expect(transaction.seq).toBe(index + 1);
    expect(transaction.balanceBefore).toBe(balance);
    balance += transaction.type === 'CHARGE' ? -transaction.amount : transaction.amount;
    expect(transaction.balanceAfter).toBe(balance);
  }
  expect(snapshot.projection.balance).toBe(balance);
}

/** What every ledger guarantees, whatever its engine. */
export function describeLedger(name: string, open: () => Promise<Driver>): void {
  describe(`the ledger on ${name}`, () => {
    let driver: Driver;
    let ledger: Ledger;

    beforeAll(async () => {
      driver = await open();
      ledger = createSqlLedger({ driver });
    });
    afterAll(async () => {
      await driver.close();
    });

    async function newTenant(balance = '100.00', timeZone = 'UTC'): Promise<TenantId> {
      const tenantId = `tenant-${randomUUIDv7()}` as TenantId;
      await driver.db.insertInto('tenant').values({ tenant_id: tenantId, name: 'test' }).execute();
      await driver.db
        .insertInto('tenant_quota')
        .values({
          tenant_id: tenantId,
          currency: 'USD',
          time_zone: timeZone,
          daily_quota: 1000,
          monthly_quota: 30000,
        })
        .execute();
      if (balance !== '0') await ledger.credit(topUpFor(tenantId, balance));
      return tenantId;
    }

    async function quotaOf(tenantId: TenantId) {
      const snapshot = await ledger.snapshot(tenantId);
      if (snapshot.kind !== 'snapshot') throw new Error('no such tenant');
      return snapshot.projection;
    }

    it('charges a commit of 100 and 200 tokens 0.0005 and leaves 99.9995, one used in day and month', async () => {
      const tenantId = await newTenant();
      const draft = draftFor(tenantId);
      await ledger.createPending(draft);
      const committed = await ledger.commitPending(commitOf(draft, '0.0005'));
      expect(committed).toMatchObject({ kind: 'committed', transactionId: draft.id, seq: 2 });
      const quota = await quotaOf(tenantId);
      expect(formatAmount(quota.balance)).toBe('99.9995');
      expect(quota).toMatchObject({
        dailyUsed: 1,
        dailyPeriod: day,
        monthlyUsed: 1,
        monthlyPeriod: '2026-11',
      });
      expect(await ledger.findByTrace(tenantId, draft.traceId)).toMatchObject({
        id: draft.id,
        status: 'COMMITTED',
        amount: parseAmount('0.0005'),
        inputTokens: 100,
        outputTokens: 200,
        balanceAfter: parseAmount('99.9995'),
      });
    });

    it('leaves balance and counters alone while a transaction is PENDING, and names its hold', async () => {
      const tenantId = await newTenant();
      const draft = draftFor(tenantId);
      expect(await ledger.createPending(draft)).toEqual({ kind: 'created' });
      const snapshot = await ledger.snapshot(tenantId);
      expect(snapshot).toMatchObject({
        projection: { balance: parseAmount('100'), dailyUsed: 0, monthlyUsed: 0 },
        openPendings: [{ traceId: draft.traceId, holdAmount: parseAmount('0.01'), periodDay: day }],
      });
    });

    it('deducts once for one trace id: 0.50 twice leaves 99.50 and one use', async () => {
      const tenantId = await newTenant();
      const deduction = deductionFor(tenantId, '0.50');
      const first = await ledger.deduct(deduction);
      const second = await ledger.deduct({ ...deduction, id: randomUUIDv7() as TransactionId });
      expect(first).toMatchObject({ kind: 'posted', balanceAfter: parseAmount('99.5') });
      expect(second).toMatchObject({ kind: 'duplicate', transaction: { id: deduction.id } });
      expect(await quotaOf(tenantId)).toMatchObject({
        balance: parseAmount('99.5'),
        dailyUsed: 1,
        monthlyUsed: 1,
      });
    });

    it('deducts once when one trace id is deducted many times at once', async () => {
      const tenantId = await newTenant();
      const traceId = randomUUIDv7() as TraceId;
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => ledger.deduct(deductionFor(tenantId, '0.50', { traceId }))),
      );
      expect(answers.filter(({ kind }) => kind === 'posted')).toHaveLength(1);
      expect(answers.filter(({ kind }) => kind === 'duplicate')).toHaveLength(49);
      expect((await quotaOf(tenantId)).balance).toBe(parseAmount('99.5'));
      await expectChain(ledger, tenantId);
    });

    it('refuses a used trace id with another request hash and changes no byte', async () => {
      const tenantId = await newTenant();
      const draft = draftFor(tenantId);
      await ledger.createPending(draft);
      const before = await ledger.findByTrace(tenantId, draft.traceId);
      const other = { ...draft, id: randomUUIDv7() as TransactionId, requestHash: hashRequest('other') };
      expect(await ledger.createPending(other)).toMatchObject({
        kind: 'conflict',
        transaction: { id: draft.id },
      });
      expect(await ledger.findByTrace(tenantId, draft.traceId)).toEqual(before);
    });

    it('answers a repeated createPending of the same row as created, and of another row as duplicate', async () => {
      const draft = draftFor(await newTenant());
      await ledger.createPending(draft);
      expect(await ledger.createPending(draft)).toEqual({ kind: 'created' });
      expect(await ledger.createPending({ ...draft, id: randomUUIDv7() as TransactionId })).toMatchObject({
        kind: 'duplicate',
        transaction: { id: draft.id, status: 'PENDING' },
      });
    });

    it('keeps the trace ids of two tenants apart', async () => {
      const [one, two] = [await newTenant(), await newTenant()];
      const traceId = 'shared-trace' as TraceId;
      const drafts = [draftFor(one, { traceId }), draftFor(two, { traceId })];
      expect(await Promise.all(drafts.map((draft) => ledger.createPending(draft)))).toEqual([
        { kind: 'created' },
        { kind: 'created' },
      ]);
      await ledger.commitPending(commitOf(drafts[0]!, '1'));
      expect(await ledger.findByTrace(two, traceId)).toMatchObject({ status: 'PENDING' });
    });

    it('commits a pending once, however often and at once it is asked', async () => {
      const tenantId = await newTenant();
      const draft = draftFor(tenantId);
      await ledger.createPending(draft);
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => ledger.commitPending(commitOf(draft, '0.25'))),
      );
      expect(answers.map(({ kind }) => kind).sort()).toEqual([
        ...Array(19).fill('already_committed'),
        'committed',
      ]);
      expect((await quotaOf(tenantId)).balance).toBe(parseAmount('99.75'));
    });

    it('voids a pending without charge or count, after which it can not be committed', async () => {
      const tenantId = await newTenant();
      const draft = draftFor(tenantId);
      await ledger.createPending(draft);
      expect(await ledger.voidPending(voidOf(draft))).toEqual({ kind: 'voided' });
      expect(await ledger.commitPending(commitOf(draft, '1'))).toMatchObject({ kind: 'already_voided' });
      expect(await quotaOf(tenantId)).toMatchObject({ balance: parseAmount('100'), dailyUsed: 0 });
      expect(await ledger.snapshot(tenantId)).toMatchObject({ openPendings: [] });
    });

    it('does not void what is committed', async () => {
      const draft = draftFor(await newTenant());
      await ledger.createPending(draft);
      await ledger.commitPending(commitOf(draft, '1'));
      expect(await ledger.voidPending(voidOf(draft))).toMatchObject({
        kind: 'already_committed',
        transaction: { amount: parseAmount('1') },
      });
    });

    it('says that it knows neither tenant nor transaction instead of inventing one', async () => {
      const nobody = 'nobody' as TenantId;
      const draft = draftFor(nobody);
      expect(await ledger.createPending(draft)).toEqual({ kind: 'unknown_tenant' });
      expect(await ledger.commitPending(commitOf(draft, '1'))).toEqual({ kind: 'unknown_transaction' });
      expect(await ledger.voidPending(voidOf(draft))).toEqual({ kind: 'unknown_transaction' });
      expect(await ledger.credit(topUpFor(nobody, '1'))).toEqual({ kind: 'unknown_tenant' });
      expect(await ledger.deduct(deductionFor(nobody, '1'))).toEqual({ kind: 'unknown_tenant' });
      expect(await ledger.snapshot(nobody)).toEqual({ kind: 'unknown_tenant' });
      expect(await ledger.changeLimits(nobody, {})).toEqual({ kind: 'unknown_tenant' });
    });

    it("does not close another request's pending under the same trace id", async () => {
      const tenantId = await newTenant();
      const draft = draftFor(tenantId);
      await ledger.createPending(draft);
      const stranger = { ...draft, id: randomUUIDv7() as TransactionId };
      expect(await ledger.voidPending(voidOf(stranger))).toEqual({ kind: 'unknown_transaction' });
      expect(await ledger.commitPending(commitOf(stranger, '1'))).toEqual({ kind: 'unknown_transaction' });
      expect(await ledger.findByTrace(tenantId, draft.traceId)).toMatchObject({ status: 'PENDING' });
    });

    it('lets a poison item fail alone, not its batch', async () => {
      const tenantId = await newTenant();
      const good = Array.from({ length: 5 }, () => draftFor(tenantId));
      const poison = draftFor(tenantId, { periodDay: 'not a day' });
      const answers = await Promise.allSettled([...good, poison].map((draft) => ledger.createPending(draft)));
      expect(answers.map(({ status }) => status)).toEqual([...Array(5).fill('fulfilled'), 'rejected']);
      expect(await ledger.findByTrace(tenantId, poison.traceId)).toBeUndefined();
    });

    it('numbers a batch of commits without gaps and chains their balances', async () => {
      const tenants = [await newTenant(), await newTenant('5')];
      const drafts = Array.from({ length: 120 }, (_, index) => draftFor(tenants[index % 2]!));
      await Promise.all(drafts.map((draft) => ledger.createPending(draft)));
      await Promise.all(
        drafts.map((draft, index) => ledger.commitPending(commitOf(draft, `0.${index + 100}`))),
      );
      for (const tenantId of tenants) await expectChain(ledger, tenantId);
    });

    it('writes one usage record per closed request', async () => {
      const tenantId = await newTenant();
      const drafts = [draftFor(tenantId), draftFor(tenantId), draftFor(tenantId)];
      await Promise.all(drafts.map((draft) => ledger.createPending(draft)));
      await ledger.commitPending(commitOf(drafts[0]!, '1'));
      await ledger.voidPending(voidOf(drafts[1]!));
      const rows = await driver.db
        .selectFrom('usage_record')
        .select(['transaction_id', 'outcome', 'finish_reason', 'latency_ms', 'time_to_first_byte_ms'])
        .where('tenant_id', '=', tenantId)
        .orderBy('transaction_id')
        .execute();
      const facts = { finish_reason: 'stop', latency_ms: 12.5, time_to_first_byte_ms: 3.25 };
      expect(rows).toHaveLength(2);
      expect(rows).toEqual(
        expect.arrayContaining([
          { transaction_id: drafts[0]!.id, outcome: 'completed', ...facts },
          { transaction_id: drafts[1]!.id, outcome: 'upstream_refused', ...facts },
        ]),
      );
    });

    describe('periods', () => {
      const useOn = (tenantId: TenantId, periodDay: string) =>
        ledger.deduct(deductionFor(tenantId, '0.01', { periodDay }));

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
        await ledger.createPending(late);
        await useOn(tenantId, '2026-12-01');
        await ledger.commitPending(commitOf(late, '0.01'));
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
        const row = await driver.db
          .selectFrom('tenant_quota')
          .select(['daily_reset_at', 'monthly_reset_at'])
          .where('tenant_id', '=', tenantId)
          .executeTakeFirstOrThrow();
        expect(row.daily_reset_at?.toISOString()).toBe('2026-11-24T05:00:00.000Z');
        expect(row.monthly_reset_at?.toISOString()).toBe('2026-12-01T05:00:00.000Z');
      });
    });

    describe('reversal', () => {
      const reversalOf = (tenantId: TenantId, transactionId: TransactionId, traceId: string) => ({
        tenantId,
        transactionId,
        id: randomUUIDv7() as TransactionId,
        traceId: traceId as TraceId,
        requestHash: hashRequest(transactionId, traceId),
        description: 'a mistake',
      });

      it('undoes a charge once: the REFUND brings the amount back and both rows name each other', async () => {
        const tenantId = await newTenant();
        const deduction = deductionFor(tenantId, '7.5');
        await ledger.deduct(deduction);
        const refund = await ledger.reverse(reversalOf(tenantId, deduction.id, 'undo-1'));
        expect(refund).toMatchObject({
          kind: 'posted',
          balanceAfter: parseAmount('100'),
          transaction: { type: 'REFUND', amount: parseAmount('7.5') },
        });
        if (refund.kind !== 'posted') throw new Error('not reversed');
        expect(await ledger.findById(deduction.id)).toMatchObject({ reversedBy: refund.transactionId });
        expect(await ledger.reverse(reversalOf(tenantId, deduction.id, 'undo-1'))).toMatchObject({
          kind: 'duplicate',
        });
        expect(await ledger.reverse(reversalOf(tenantId, deduction.id, 'undo-2'))).toMatchObject({
          kind: 'already_reversed',
          transaction: { id: refund.transactionId },
        });
        expect((await quotaOf(tenantId)).balance).toBe(parseAmount('100'));
        await expectChain(ledger, tenantId);
      });

      it('undoes a top-up by taking it back', async () => {
        const tenantId = await newTenant();
        const topUp = topUpFor(tenantId, '30');
        await ledger.credit(topUp);
        await ledger.reverse(reversalOf(tenantId, topUp.id, 'undo'));
        expect((await quotaOf(tenantId)).balance).toBe(parseAmount('100'));
        await expectChain(ledger, tenantId);
      });

      it('reverses neither a REFUND, nor what is open, nor what it does not know', async () => {
        const tenantId = await newTenant();
        const deduction = deductionFor(tenantId, '1');
        await ledger.deduct(deduction);
        const refund = reversalOf(tenantId, deduction.id, 'undo');
        await ledger.reverse(refund);
        const open = draftFor(tenantId);
        await ledger.createPending(open);
        const unknown = randomUUIDv7() as TransactionId;
        const kinds = [];
        for (const id of [refund.id, open.id, unknown]) {
          kinds.push((await ledger.reverse(reversalOf(tenantId, id, `undo-${id}`))).kind);
        }
        expect(kinds).toEqual(['not_reversible', 'not_reversible', 'unknown_transaction']);
      });

      it("does not reverse another tenant's transaction", async () => {
        const [owner, other] = [await newTenant(), await newTenant()];
        const deduction = deductionFor(owner, '1');
        await ledger.deduct(deduction);
        expect(await ledger.reverse(reversalOf(other, deduction.id, 'undo'))).toEqual({
          kind: 'unknown_transaction',
        });
      });
    });

    describe('history', () => {
      it.each([
        ['an amount', `UPDATE billing_transaction SET amount = 0 WHERE id = $1`],
        ['a status', `UPDATE billing_transaction SET status = 'VOIDED', amount = NULL WHERE id = $1`],
        ['a description', `UPDATE billing_transaction SET description = 'x' WHERE id = $1`],
        ['a row away', `DELETE FROM billing_transaction WHERE id = $1`],
        ['a usage record', `UPDATE usage_record SET outcome = 'x' WHERE transaction_id = $1`],
        ['a usage record away', `DELETE FROM usage_record WHERE transaction_id = $1`],
      ])('is immutable: SQL can not change %s', async (_, statement) => {
        const draft = draftFor(await newTenant());
        await ledger.createPending(draft);
        await ledger.commitPending(commitOf(draft, '1'));
        const before = await ledger.findById(draft.id);
        await expect(driver.query(statement, [draft.id])).rejects.toThrow(/never|closed/);
        expect(await ledger.findById(draft.id)).toEqual(before);
      });

      it('can not be truncated', async () => {
        await expect(driver.query('TRUNCATE billing_transaction CASCADE', [])).rejects.toThrow(/never/);
      });

      it('does not let a PENDING row become another request', async () => {
        const draft = draftFor(await newTenant());
        await ledger.createPending(draft);
        await expect(
          driver.query(`UPDATE billing_transaction SET trace_id = 'x' WHERE id = $1`, [draft.id]),
        ).rejects.toThrow(/another/);
      });
    });

    it('knows which processes live, by their last heartbeat', async () => {
      const instance = { id: `instance-${randomUUIDv7()}` as InstanceId, host: 'here', pid: 7 };
      await ledger.heartbeat(instance);
      await ledger.heartbeat(instance);
      const rows = await driver.db
        .selectFrom('gateway_instance')
        .select(['host', 'pid'])
        .where('id', '=', instance.id)
        .execute();
      expect(rows).toEqual([{ host: 'here', pid: 7 }]);
    });

    describe('limits', () => {
      it('change one by one, null is unlimited, and each change is a new version', async () => {
        const tenantId = await newTenant();
        const before = await quotaOf(tenantId);
        const changed = await ledger.changeLimits(tenantId, {
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

    it('pages through transactions newest first without losing or repeating one', async () => {
      const tenantId = await newTenant();
      for (let index = 0; index < 9; index++) await ledger.deduct(deductionFor(tenantId, '0.01'));
      const all = await ledger.list({ tenantId, limit: 100 });
      const seen: Transaction[] = [];
      for (;;) {
        const before = seen.at(-1)?.id;
        const page = await ledger.list({ tenantId, limit: 4, ...(before === undefined ? {} : { before }) });
        if (page.length === 0) break;
        seen.push(...page);
      }
      expect(seen).toEqual(all);
      expect(seen).toHaveLength(10);
    });

    it('keeps amounts exact across 2^53 nano, n × 1e8 and 1 nano', async () => {
      const tenantId = await newTenant('0');
      const amounts = [1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 100_000_000n, 10n ** 20n - 10n ** 18n];
      let balance = 0n;
      for (const amount of amounts) {
        const posted = await ledger.credit(topUpFor(tenantId, formatAmount(nano(amount))));
        balance += amount;
        expect(posted).toMatchObject({ kind: 'posted', amount, balanceAfter: balance });
      }
      await expectChain(ledger, tenantId);
    });

    it('agrees with a bigint oracle over random commands, repeated and raced', async () => {
      const command = fc.record({
        kind: fc.constantFrom('deduct', 'credit', 'commit', 'void', 'reverse'),
        amount: fc.bigInt({ min: 0n, max: 2n ** 54n }),
        trace: fc.integer({ min: 0, max: 30 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 40 }), async (commands) => {
          const tenantId = await newTenant('0');
          const effects = new Map<string, bigint>();
          await Promise.all(
            commands.map(async ({ kind, amount, trace }) => {
              const traceId = `trace-${trace}` as TraceId;
              const effect = await runCommand[kind]!(tenantId, formatAmount(nano(amount)), traceId);
              if (effect !== null) {
                expect(effects.has(`${effect.traceId}`)).toBe(false);
                effects.set(effect.traceId, effect.amount);
              }
            }),
          );
          await expectChain(ledger, tenantId);
          const sum = [...effects.values()].reduce((total, amount) => total + amount, 0n);
          expect((await quotaOf(tenantId)).balance).toBe(sum);
        }),
        { numRuns: 25 },
      );
    });

    /** One command a kind; each answers the change of the balance that it claims to have made, if any. */
    const runCommand: Record<
      string,
      (tenantId: TenantId, text: string, traceId: TraceId) => Promise<Effect>
    > = {
      deduct: async (tenantId, text, traceId) => {
        const answer = await ledger.deduct(deductionFor(tenantId, text, { traceId }));
        return answer.kind === 'posted' ? { traceId, amount: -answer.amount } : null;
      },
      credit: async (tenantId, text, traceId) => {
        const answer = await ledger.credit(topUpFor(tenantId, text, { traceId }));
        return answer.kind === 'posted' ? { traceId, amount: answer.amount } : null;
      },
      commit: async (tenantId, text, traceId) => {
        const draft = draftFor(tenantId, { traceId });
        await ledger.createPending(draft);
        const answer = await ledger.commitPending(commitOf(draft, text));
        return answer.kind === 'committed' ? { traceId, amount: -answer.amount } : null;
      },
      void: async (tenantId, _, traceId) => {
        const draft = draftFor(tenantId, { traceId });
        await ledger.createPending(draft);
        await ledger.voidPending(voidOf(draft));
        return null;
      },
      reverse: async (tenantId, _, traceId) => {
        const original = await ledger.findByTrace(tenantId, traceId);
        if (original === undefined) return null;
        const refundTrace = `undo-${traceId}` as TraceId;
        const answer = await ledger.reverse({
          tenantId,
          transactionId: original.id,
          id: randomUUIDv7() as TransactionId,
          traceId: refundTrace,
          requestHash: hashRequest(refundTrace),
          description: null,
        });
        return answer.kind === 'posted' ? { traceId: refundTrace, amount: answer.amount } : null;
      },
    };
  });
}

type Effect = { readonly traceId: TraceId; readonly amount: bigint } | null;
