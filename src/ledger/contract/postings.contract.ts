import { randomUUIDv7 } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hashRequest, type TenantId, type TraceId, type TransactionId } from '../../domain/ids.ts';
import { formatAmount, nano, parseAmount } from '../../domain/money.ts';
import { deductionFor, draftFor, topUpFor } from './drafts.contract.ts';
import type { GivenLedger } from './given-ledger.contract.ts';

/** What is posted in one step: deductions, credits and reversals. */
export function contractOfPostings(given: GivenLedger): void {
  const { newTenant, quotaOf, expectChain } = given;

  it('deducts once for one trace id: 0.50 twice leaves 99.50 and one use', async () => {
    const tenantId = await newTenant();
    const deduction = deductionFor(tenantId, '0.50');
    const first = await given.ledger.deduct(deduction);
    const second = await given.ledger.deduct({ ...deduction, id: randomUUIDv7() as TransactionId });
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
      Array.from({ length: 50 }, () => given.ledger.deduct(deductionFor(tenantId, '0.50', { traceId }))),
    );
    expect(answers.filter(({ kind }) => kind === 'posted')).toHaveLength(1);
    expect(answers.filter(({ kind }) => kind === 'duplicate')).toHaveLength(49);
    expect((await quotaOf(tenantId)).balance).toBe(parseAmount('99.5'));
    await expectChain(tenantId);
  });

  it('keeps amounts exact across 2^53 nano, n × 1e8 and 1 nano', async () => {
    const tenantId = await newTenant('0');
    const amounts = [1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 100_000_000n, 10n ** 20n - 10n ** 18n];
    let balance = 0n;
    for (const amount of amounts) {
      const posted = await given.ledger.credit(topUpFor(tenantId, formatAmount(nano(amount))));
      balance += amount;
      expect(posted).toMatchObject({ kind: 'posted', amount, balanceAfter: balance });
    }
    await expectChain(tenantId);
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
      await given.ledger.deduct(deduction);
      const refund = await given.ledger.reverse(reversalOf(tenantId, deduction.id, 'undo-1'));
      expect(refund).toMatchObject({
        kind: 'posted',
        balanceAfter: parseAmount('100'),
        transaction: { type: 'REFUND', amount: parseAmount('7.5') },
      });
      if (refund.kind !== 'posted') throw new Error('not reversed');
      expect(await given.ledger.findById(deduction.id)).toMatchObject({ reversedBy: refund.transactionId });
      expect(await given.ledger.reverse(reversalOf(tenantId, deduction.id, 'undo-1'))).toMatchObject({
        kind: 'duplicate',
      });
      expect(await given.ledger.reverse(reversalOf(tenantId, deduction.id, 'undo-2'))).toMatchObject({
        kind: 'already_reversed',
        transaction: { id: refund.transactionId },
      });
      expect((await quotaOf(tenantId)).balance).toBe(parseAmount('100'));
      await expectChain(tenantId);
    });

    it('undoes a top-up by taking it back', async () => {
      const tenantId = await newTenant();
      const topUp = topUpFor(tenantId, '30');
      await given.ledger.credit(topUp);
      await given.ledger.reverse(reversalOf(tenantId, topUp.id, 'undo'));
      expect((await quotaOf(tenantId)).balance).toBe(parseAmount('100'));
      await expectChain(tenantId);
    });

    it('reverses neither a REFUND, nor what is open, nor what it does not know', async () => {
      const tenantId = await newTenant();
      const deduction = deductionFor(tenantId, '1');
      await given.ledger.deduct(deduction);
      const refund = reversalOf(tenantId, deduction.id, 'undo');
      await given.ledger.reverse(refund);
      const open = draftFor(tenantId);
      await given.ledger.createPending(open);
      const unknown = randomUUIDv7() as TransactionId;
      const kinds = [];
      for (const id of [refund.id, open.id, unknown]) {
        kinds.push((await given.ledger.reverse(reversalOf(tenantId, id, `undo-${id}`))).kind);
      }
      expect(kinds).toEqual(['not_reversible', 'not_reversible', 'unknown_transaction']);
    });

    it("does not reverse another tenant's transaction", async () => {
      const [owner, other] = [await newTenant(), await newTenant()];
      const deduction = deductionFor(owner, '1');
      await given.ledger.deduct(deduction);
      expect(await given.ledger.reverse(reversalOf(other, deduction.id, 'undo'))).toEqual({
        kind: 'unknown_transaction',
      });
    });
  });
}
