import { expect, it } from 'vitest';
import type { TenantId } from '../../domain/ids.ts';
import type { Transaction } from '../../domain/transaction.ts';
import { commitOf, deductionFor, draftFor, topUpFor, voidOf } from './drafts.contract.ts';
import type { GivenLedger } from './given-ledger.contract.ts';

/** What the ledger tells of what it knows, and of what it does not. */
export function contractOfReading(given: GivenLedger): void {
  const { newTenant } = given;

  it('says that it knows neither tenant nor transaction instead of inventing one', async () => {
    const nobody = 'nobody' as TenantId;
    const draft = draftFor(nobody);
    expect(await given.ledger.createPending(draft)).toEqual({ kind: 'unknown_tenant' });
    expect(await given.ledger.commitPending(commitOf(draft, '1'))).toEqual({ kind: 'unknown_transaction' });
    expect(await given.ledger.voidPending(voidOf(draft))).toEqual({ kind: 'unknown_transaction' });
    expect(await given.ledger.credit(topUpFor(nobody, '1'))).toEqual({ kind: 'unknown_tenant' });
    expect(await given.ledger.deduct(deductionFor(nobody, '1'))).toEqual({ kind: 'unknown_tenant' });
    expect(await given.ledger.snapshot(nobody)).toEqual({ kind: 'unknown_tenant' });
    expect(await given.ledger.changeLimits(nobody, {})).toEqual({ kind: 'unknown_tenant' });
  });

  it('pages through transactions newest first without losing or repeating one', async () => {
    const tenantId = await newTenant();
    for (let index = 0; index < 9; index++) await given.ledger.deduct(deductionFor(tenantId, '0.01'));
    const all = await given.ledger.list({ tenantId, limit: 100 });
    const seen: Transaction[] = [];
    for (;;) {
      const before = seen.at(-1)?.id;
      const page = await given.ledger.list({
        tenantId,
        limit: 4,
        ...(before === undefined ? {} : { before }),
      });
      if (page.length === 0) break;
      seen.push(...page);
    }
    expect(seen).toEqual(all);
    expect(seen).toHaveLength(10);
  });
}
