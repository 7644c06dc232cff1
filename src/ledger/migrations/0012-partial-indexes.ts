import { type Kysely, sql } from 'kysely';
import { buildBeside } from './build-beside.ts';
import { lockTables } from './lock-tables.ts';

/**
 * The two indexes of some rows of a ledger, in whose place 0011 has left ones of all rows. And that of transactions' ids, made
 * anew to be the last: in an empty ledger all look as good to the planner, which takes the last one, and of this one every
 * statement that looks for an id knows the whole (ADR 26).
 */
const indexes = [
  {
    name: 'billing_transaction_seq',
    on: 'billing_transaction (tenant_id, seq) WHERE seq IS NOT NULL',
    unique: true,
  },
  {
    name: 'billing_transaction_open',
    on: `billing_transaction (tenant_id, expires_at) WHERE status = 'PENDING'`,
    unique: false,
  },
  { name: 'billing_transaction_by_id', on: 'billing_transaction (id)', unique: false },
] as const;

export async function prepare<S>(db: Kysely<S>): Promise<void> {
  // Of columns whose type was changed the planner knows nothing until they are looked at again. An empty ledger is left
  // as one that nothing is known of.
  await sql`
    DO $$
    BEGIN
      IF EXISTS (SELECT FROM billing_transaction) THEN
        ANALYZE billing_transaction, usage_record, tenant, tenant_quota, api_key, api_key_quota, outbox;
      END IF;
    END $$`.execute(db);
  for (const index of indexes) await buildBeside(db, index);
}

export async function up(db: Kysely<unknown>): Promise<void> {
  await lockTables(db, ['billing_transaction']);
  await sql`
    DROP INDEX billing_transaction_seq_of_all, billing_transaction_status, billing_transaction_id`.execute(
    db,
  );
  await sql`ALTER INDEX billing_transaction_by_id RENAME TO billing_transaction_id`.execute(db);
}
