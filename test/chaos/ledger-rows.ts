import { Client } from 'pg';
import { parseAmount } from '../../src/domain/money.ts';
import type { Row } from './records.ts';

const select = `
  SELECT t.id, t.tenant_id, t.trace_id, t.request_hash, t.type, t.status, t.amount::text, t.input_tokens::int,
    t.output_tokens::int, t.usage_method, t.seq::int, t.balance_before::text, t.balance_after::text, t.owner,
    t.description, t.created_at, t.updated_at, u.outcome
  FROM billing_transaction t LEFT JOIN usage_record u ON u.tenant_id = t.tenant_id AND u.transaction_id = t.id
  ORDER BY t.tenant_id, t.seq NULLS LAST, t.id`;

/** The ledger as it stands in Postgres, past all of our code. */
export interface LedgerRows {
  rows(): Promise<readonly Row[]>;
  countPending(): Promise<number>;
  /** By tenant, in nano. */
  balances(): Promise<ReadonlyMap<string, bigint>>;
}

export function readLedger(url: string): LedgerRows {
  const ask = async (text: string) => {
    const client = new Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };
  return {
    rows: async () => (await ask(select)).map(rowOf),
    countPending: async () => {
      const [{ count }] = await ask(
        `SELECT count(*)::int AS count FROM billing_transaction WHERE status = 'PENDING'`,
      );
      return count;
    },
    balances: async () => {
      const rows = await ask('SELECT tenant_id, balance::text FROM tenant_quota');
      return new Map(rows.map(({ tenant_id, balance }) => [tenant_id, parseAmount(balance)]));
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: a row of the statement above, as the driver gives it.
function rowOf(row: any): Row {
  const amount = (text: string | null) => (text === null ? null : parseAmount(text));
  return {
    id: row.id,
    tenantId: row.tenant_id,
    traceId: row.trace_id,
    requestHash: row.request_hash,
    type: row.type,
    status: row.status,
    amount: amount(row.amount),
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    usageMethod: row.usage_method,
    seq: row.seq,
    balanceBefore: amount(row.balance_before),
    balanceAfter: amount(row.balance_after),
    owner: row.owner,
    description: row.description,
    outcome: row.outcome,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  };
}
