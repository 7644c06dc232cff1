import { type Kysely, sql } from 'kysely';
import { buildBeside } from './build-beside.ts';
import { lockTables } from './lock-tables.ts';

const table = 'billing_transaction';

/**
 * The two indexes of some rows of a ledger, in whose place 0011 has left ones of all rows. And that of transactions' ids,
 * made anew to be newer than the trace ids' key: where several look as good to the planner, as in an empty ledger, it
 * takes the newest, and of this one every statement that looks for an id knows the whole (ADR 33).
 */
const indexes = [
  {
    name: 'billing_transaction_seq',
    table,
    columns: 'tenant_id, seq',
    where: 'seq IS NOT NULL',
    unique: true,
  },
  {
    name: 'billing_transaction_open',
    table,
    columns: 'tenant_id, expires_at',
    where: `status = 'PENDING'`,
    unique: false,
  },
  { name: 'billing_transaction_by_id', table, columns: 'id', unique: false },
] as const;

export async function prepare<S>(db: Kysely<S>): Promise<void> {
  // Of columns whose type was changed the planner knows nothing until they are looked at again. An empty ledger is left
  // as one that nothing is known of.
  const { rows } = await sql`SELECT FROM billing_transaction LIMIT 1`.execute(db);
  if (rows.length > 0)
    await sql`
      ANALYZE billing_transaction, usage_record, tenant, tenant_quota, api_key, api_key_quota, outbox`.execute(
      db,
    );
  for (const index of indexes) await buildBeside(db, index);
}

export async function up<S>(db: Kysely<S>): Promise<void> {
  await lockTables(db, [table]);
  await sql`
    DROP INDEX billing_transaction_seq_of_all, billing_transaction_status, billing_transaction_id`.execute(
    db,
  );
  await sql`ALTER INDEX billing_transaction_by_id RENAME TO billing_transaction_id`.execute(db);
}
