import { readFileSync } from 'node:fs';
import { CompiledQuery, type Kysely } from 'kysely';
import type { TenantId, TransactionId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import { unitMultiplierPpm } from '../domain/pricing.ts';
import { decodeReceipt, type ReceiptJson } from '../domain/receipt.ts';
import type { Schema } from '../ledger/schema.ts';
import {
  type AuditPage,
  type AuditSource,
  type Check,
  type Checked,
  checks,
  type LedgerDifference,
  type ReceiptRow,
} from './audit.ts';

export interface SqlAuditSourceOptions {
  readonly db: Kysely<Schema>;
  readonly tenantsPerPage?: number;
  readonly receiptsPerPage?: number;
  /** Of one check and page of tenants: a ledger that is wrong throughout would tell of every row. */
  readonly mostTold?: number;
}

interface DifferenceRow {
  readonly tenant_id: string;
  readonly id: string | null;
  readonly what: string;
  readonly found: string | null;
  readonly expected: string | null;
}

interface ReceiptResult {
  readonly tenant_id: string;
  readonly id: string;
  readonly seq: string;
  readonly amount: string;
  readonly multiplier_ppm: string | null;
  readonly receipt: ReceiptJson;
}

const readSql = (name: string) => readFileSync(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8');

/** Each answer is one statement, and so of one moment. */
export function createSqlAuditSource(options: SqlAuditSourceOptions): AuditSource {
  const { db, tenantsPerPage = 200, receiptsPerPage = 2_000, mostTold = 100 } = options;
  const [tenantsSql, receiptsSql] = [readSql('tenants'), readSql('receipts')];
  const checkSql = Object.fromEntries(checks.map((check) => [check, readSql(check)])) as Record<
    Check,
    string
  >;

  const rowsOf = async <Row>(statement: string, parameters: readonly unknown[]): Promise<readonly Row[]> => {
    const { rows } = await db.executeQuery<Row>(CompiledQuery.raw(statement, [...parameters]));
    return rows;
  };

  const page = async (after: TenantId | null, only: TenantId | null): Promise<AuditPage> => {
    const rows = await rowsOf<{ tenant_id: string; transactions: string }>(tenantsSql, [
      after,
      only,
      tenantsPerPage,
    ]);
    return {
      tenantIds: rows.map((row) => row.tenant_id as TenantId),
      transactions: rows.reduce((sum, { transactions }) => sum + Number(transactions), 0),
    };
  };

  return {
    tenants: (after) => page(after, null),
    tenant: (tenantId) => page(null, tenantId),
    check: async (check, tenantIds): Promise<Checked> => {
      const rows = await rowsOf<DifferenceRow>(checkSql[check], [tenantIds, mostTold + 1]);
      return {
        differences: rows.slice(0, mostTold).map(decodeDifference),
        isComplete: rows.length <= mostTold,
      };
    },
    receipts: async (tenantIds, after) => {
      const [first, last] = [tenantIds.at(0), tenantIds.at(-1)];
      const place = [after?.tenantId ?? null, after?.seq ?? null];
      const parameters = [first, last, ...place, receiptsPerPage];
      if (first === undefined) return [];
      return (await rowsOf<ReceiptResult>(receiptsSql, parameters)).map(decodeReceiptRow);
    },
  };
}

const nothing = 'nothing';

function decodeDifference({ tenant_id, id, what, found, expected }: DifferenceRow): LedgerDifference {
  return {
    tenantId: tenant_id as TenantId,
    transactionId: id as TransactionId | null,
    what,
    found: found ?? nothing,
    expected: expected ?? nothing,
  };
}

function decodeReceiptRow(row: ReceiptResult): ReceiptRow {
  return {
    tenantId: row.tenant_id as TenantId,
    transactionId: row.id as TransactionId,
    seq: row.seq,
    amount: parseAmount(row.amount),
    multiplierPpm: row.multiplier_ppm === null ? unitMultiplierPpm : BigInt(row.multiplier_ppm),
    receipt: decodeReceipt(row.receipt),
  };
}
