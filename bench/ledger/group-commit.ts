import { openPostgres } from '../../src/ledger/drivers/postgres.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import type { WrittenBatch } from '../../src/observability/observer.ts';
import type { Callers, Transact } from './callers.ts';
import { commitOf, newDeduction, newDraft } from './work.ts';

/** The ledger as the gateway has it, with its driver, and so many callers at once. */
export async function openGroupCommit(url: string, options: { readonly callers: number }): Promise<Callers> {
  const driver = await openPostgres({ url });
  let batches: WrittenBatch[] = [];
  const ledger = createSqlLedger({ driver, onBatch: (batch) => batches.push(batch) });
  const deduct: Transact = async () => {
    const { kind } = await ledger.deduct(newDeduction());
    if (kind !== 'posted') throw new Error(`a deduction was answered ${kind}`);
  };
  const pair: Transact = async () => {
    const draft = newDraft();
    const created = await ledger.createPending(draft);
    if (created.kind !== 'created') throw new Error(`a pending was answered ${created.kind}`);
    const committed = await ledger.commitPending(commitOf(draft));
    if (committed.kind !== 'committed') throw new Error(`a commit was answered ${committed.kind}`);
  };
  return {
    deduct: Array<Transact>(options.callers).fill(deduct),
    pair: Array<Transact>(options.callers).fill(pair),
    takeBatches: () => {
      const taken = batches;
      batches = [];
      return taken;
    },
    close: () => driver.close(),
  };
}
