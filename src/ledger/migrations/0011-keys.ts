import { type Kysely, sql } from 'kysely';
import { buildBeside } from './build-beside.ts';
import { lockTables } from './lock-tables.ts';

/**
 * How the ledger's keys compare (ADR 33).
 *
 * Text in keys compares by its bytes, whatever language the database sorts by: that is quicker, and an index in the order
 * of a language is wrong where the system's idea of that order changes, so that what is unique is no longer.
 *
 * A trace id's key begins with the trace id, and a usage record's with its transaction: both are in the order of time, so
 * that new entries of all tenants go to the same pages.
 */

const byBytes = (column: string) => `${column} COLLATE "C"`;

/**
 * Those of the tables that grow with each transaction, with the names of what they take the place of. An index of some
 * rows would be built anew when the type of its column changes, while everybody waits: two are of all rows until 0012. None
 * of these begins with the tenant, so that no kept plan takes one for the key of a row.
 */
const indexes = [
  { name: 'billing_transaction_key', on: `billing_transaction (${byBytes('tenant_id')}, id)`, unique: true },
  {
    name: 'billing_transaction_trace',
    on: `billing_transaction (${byBytes('trace_id')}, ${byBytes('tenant_id')})`,
    unique: true,
  },
  {
    name: 'billing_transaction_seq_of_all',
    on: `billing_transaction (seq, ${byBytes('tenant_id')})`,
    unique: true,
  },
  {
    name: 'billing_transaction_status',
    on: `billing_transaction (status, ${byBytes('tenant_id')}, expires_at)`,
    unique: false,
  },
  { name: 'usage_record_key', on: `usage_record (transaction_id, ${byBytes('tenant_id')})`, unique: true },
] as const;

/** What takes as long as the ledger is large. */
export async function prepare<S>(db: Kysely<S>): Promise<void> {
  for (const index of indexes) await buildBeside(db, index);
}

/** The columns that keys have of text, by their tables. */
const keys = {
  billing_transaction: ['tenant_id', 'trace_id'],
  usage_record: ['tenant_id'],
  tenant: ['tenant_id'],
  tenant_quota: ['tenant_id'],
  api_key: ['tenant_id', 'id', 'secret_hash'],
  api_key_quota: ['tenant_id', 'api_key_id', 'quota_type', 'reset_period'],
  outbox: ['tenant_id'],
  webhook: ['id', 'tenant_id'],
  webhook_delivery: ['webhook_id'],
  model: ['name'],
  route: ['model', 'upstream'],
  rate_card: ['model'],
  book_price: ['provider', 'model'],
  token_factor: ['model', 'side'],
  upstream: ['id'],
  admin_token: ['secret_hash'],
  gateway_instance: ['id'],
  job_run: ['name'],
} as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  await lockTables(db, Object.keys(keys));
  await sql`
    ALTER TABLE billing_transaction
      DROP CONSTRAINT billing_transaction_pkey,
      DROP CONSTRAINT billing_transaction_tenant_id_trace_id_key`.execute(db);
  await sql`DROP INDEX billing_transaction_seq, billing_transaction_open`.execute(db);
  await sql`ALTER TABLE usage_record DROP CONSTRAINT usage_record_pkey`.execute(db);
  // It names the column, and would be in the way.
  await sql`DROP TRIGGER tenant_same ON tenant`.execute(db);
  for (const [table, columns] of Object.entries(keys)) {
    const changes = columns.map((column) => `ALTER COLUMN ${column} TYPE text COLLATE "C"`);
    await sql`ALTER TABLE ${sql.table(table)} ${sql.raw(changes.join(', '))}`.execute(db);
  }
  await sql`
    CREATE TRIGGER tenant_same BEFORE UPDATE OF tenant_id ON tenant
    FOR EACH ROW WHEN (OLD.tenant_id <> NEW.tenant_id) EXECUTE FUNCTION refuse_end_of_tenant()`.execute(db);
  // The indexes take these names.
  await sql`
    ALTER TABLE billing_transaction
      ADD CONSTRAINT billing_transaction_pkey PRIMARY KEY USING INDEX billing_transaction_key,
      ADD CONSTRAINT billing_transaction_trace_id_tenant_id_key UNIQUE USING INDEX billing_transaction_trace`.execute(
    db,
  );
  await sql`
    ALTER TABLE usage_record ADD CONSTRAINT usage_record_pkey PRIMARY KEY USING INDEX usage_record_key`.execute(
    db,
  );
}
