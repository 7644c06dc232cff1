import { describe, expect, it } from 'vitest';
import { commitOf, draftFor } from './drafts.contract.ts';
import type { GivenLedger } from './given-ledger.contract.ts';

/** What is closed stays as it is, whoever asks the engine itself. */
export function contractOfHistory(given: GivenLedger): void {
  const { newTenant } = given;

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
      await given.ledger.createPending(draft);
      await given.ledger.commitPending(commitOf(draft, '1'));
      const before = await given.ledger.findById(draft.id);
      await expect(given.driver.query(statement, [draft.id])).rejects.toThrow(/never|closed/);
      expect(await given.ledger.findById(draft.id)).toEqual(before);
    });

    it('can not be truncated', async () => {
      await expect(given.driver.query('TRUNCATE billing_transaction CASCADE', [])).rejects.toThrow(/never/);
    });

    it('does not let a PENDING row become another request', async () => {
      const draft = draftFor(await newTenant());
      await given.ledger.createPending(draft);
      await expect(
        given.driver.query(`UPDATE billing_transaction SET trace_id = 'x' WHERE id = $1`, [draft.id]),
      ).rejects.toThrow(/another/);
    });

    it.each([
      ['goes', 'DELETE FROM tenant WHERE tenant_id = $1', /never/],
      ['becomes another', `UPDATE tenant SET tenant_id = 'x' WHERE tenant_id = $1`, /another/],
    ])('keeps its tenants: none %s, also one without a quota row', async (_, statement, refusal) => {
      const tenantId = `alone-${crypto.randomUUID()}`;
      await given.driver.query('INSERT INTO tenant (tenant_id, name) VALUES ($1, $1)', [tenantId]);
      await expect(given.driver.query(statement, [tenantId])).rejects.toThrow(refusal);
      await expect(given.driver.query('TRUNCATE tenant CASCADE', [])).rejects.toThrow(/never/);
      expect(await given.driver.query('SELECT FROM tenant WHERE tenant_id = $1', [tenantId])).toHaveLength(1);
    });
  });
}
