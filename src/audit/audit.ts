import type { TenantId, TransactionId } from '../domain/ids.ts';
import { formatAmount, type NanoUsd } from '../domain/money.ts';
import { type Receipt, receiptAmount } from '../domain/receipt.ts';

/** Something in the ledger that isn't as it has to be. */
export interface LedgerDifference {
  readonly tenantId: TenantId;
  /** Null where it is the tenant's row. */
  readonly transactionId: TransactionId | null;
  /** The column, or what of it. */
  readonly what: string;
  readonly found: string;
  readonly expected: string;
}

/** What holds of the rows of a tenant, whatever is running meanwhile. */
export const checks = ['balances', 'chain', 'closings', 'refunds', 'counters', 'pendings'] as const;
export type Check = (typeof checks)[number];

/** Some tenants, in order. */
export interface AuditPage {
  readonly tenantIds: readonly TenantId[];
  /** Of these tenants. */
  readonly transactions: number;
}

export interface Checked {
  /** As many as are told of one check and page at the most. */
  readonly differences: readonly LedgerDifference[];
  readonly isComplete: boolean;
}

/** A committed charge with what it came from. */
export interface ReceiptRow {
  readonly tenantId: TenantId;
  readonly transactionId: TransactionId;
  readonly seq: string;
  readonly amount: NanoUsd;
  readonly multiplierPpm: bigint;
  readonly receipt: Receipt;
}

/**
 * The ledger as an auditor reads it. Each answer is of one moment, so that a gateway that writes meanwhile makes no
 * difference, and none is larger than a page.
 */
export interface AuditSource {
  /** The tenants behind this one; null: the first. Empty when there are no more. */
  tenants(after: TenantId | null): Promise<AuditPage>;
  /** One tenant; empty where there is none. */
  tenant(tenantId: TenantId): Promise<AuditPage>;
  check(check: Check, tenantIds: readonly TenantId[]): Promise<Checked>;
  /** Of the tenants of a page, in the order of tenant and seq; empty when there are no more. */
  receipts(tenantIds: readonly TenantId[], after: ReceiptRow | null): Promise<readonly ReceiptRow[]>;
}

export interface LedgerAudit {
  readonly tenants: number;
  readonly transactions: number;
  readonly receipts: number;
  readonly differences: number;
  /** False where there are more differences than were told. */
  readonly isComplete: boolean;
}

/** @param onDifference told of each as it is found */
export async function auditLedger(
  source: AuditSource,
  tenantId: TenantId | null,
  onDifference: (difference: LedgerDifference) => void,
): Promise<LedgerAudit> {
  const counts = { tenants: 0, transactions: 0, receipts: 0, differences: 0, isComplete: true };
  const tell = (difference: LedgerDifference) => {
    counts.differences += 1;
    onDifference(difference);
  };
  for await (const { tenantIds, transactions } of pagesOf(source, tenantId)) {
    counts.tenants += tenantIds.length;
    counts.transactions += transactions;
    for (const check of checks) {
      const { differences, isComplete } = await source.check(check, tenantIds);
      differences.forEach(tell);
      counts.isComplete &&= isComplete;
    }
    for await (const row of receiptsOf(source, tenantIds)) {
      counts.receipts += 1;
      const difference = receiptDifference(row);
      if (difference !== null) tell(difference);
    }
  }
  return counts;
}

async function* pagesOf(source: AuditSource, tenantId: TenantId | null): AsyncGenerator<AuditPage> {
  if (tenantId !== null) {
    yield await source.tenant(tenantId);
    return;
  }
  for (let after: TenantId | null = null; ; ) {
    const page: AuditPage = await source.tenants(after);
    const last = page.tenantIds.at(-1);
    if (last === undefined) return;
    yield page;
    after = last;
  }
}

async function* receiptsOf(source: AuditSource, tenantIds: readonly TenantId[]): AsyncGenerator<ReceiptRow> {
  for (let after: ReceiptRow | null = null; ; ) {
    const rows: readonly ReceiptRow[] = await source.receipts(tenantIds, after);
    const last = rows.at(-1);
    if (last === undefined) return;
    yield* rows;
    after = last;
  }
}

function receiptDifference(row: ReceiptRow): LedgerDifference | null {
  const { tenantId, transactionId, amount, multiplierPpm, receipt } = row;
  const expected = receiptAmount(receipt, multiplierPpm);
  if (amount === expected) return null;
  const what = 'amount by its receipt';
  return { tenantId, transactionId, what, found: formatAmount(amount), expected: formatAmount(expected) };
}
