import type { TenantId } from '../../src/domain/ids.ts';
import { openPostgres } from '../../src/ledger/drivers/postgres.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import type { WrittenBatch } from '../../src/observability/observer.ts';
import type { Callers, Transact } from './callers.ts';
import { commitOf, newDeduction, newDraft } from './work.ts';

export interface GroupCommitOptions {
  readonly callers: number;
  /** Whom the next transaction is charged to. */
  readonly nextTenant: () => TenantId;
}

/** The ledger as the gateway has it, with its driver, and so many callers at once. */
export async function openGroupCommit(url: string, options: GroupCommitOptions): Promise<Callers> {
  const { nextTenant } = options;
  const driver = await openPostgres({ url });
  let batches: WrittenBatch[] = [];
  const ledger = createSqlLedger({ driver, onBatch: (batch) => batches.push(batch) });
  const deduct: Transact = async () => {
    const { kind } = await ledger.deduct(newDeduction(nextTenant()));
    if (kind !== 'posted') throw new Error(`a deduction was answered ${kind}`);
  };
  const pair: Transact = async () => {
    const draft = newDraft(nextTenant());
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
