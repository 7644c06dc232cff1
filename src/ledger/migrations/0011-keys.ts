import { type Kysely, sql } from 'kysely';
import { Fault } from '../../domain/errors.ts';
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

/** The columns that keys have of text, by their tables. */
const keys: Readonly<Record<string, readonly string[]>> = {
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
};

const byBytes = (column: string) => `${column} COLLATE "C"`;

/**
 * Those of the tables that grow with each transaction. An index of some rows would be built anew when the type of its
 * column changes, while everybody waits: two are of all rows until 0012.
 */
const indexes = [
  {
    name: 'billing_transaction_key',
    table: 'billing_transaction',
    columns: `${byBytes('tenant_id')}, id`,
    unique: true,
  },
  {
    name: 'billing_transaction_trace',
    table: 'billing_transaction',
    columns: `${byBytes('trace_id')}, ${byBytes('tenant_id')}`,
    unique: true,
  },
  {
    name: 'billing_transaction_seq_of_all',
    table: 'billing_transaction',
    columns: `seq, ${byBytes('tenant_id')}`,
    unique: true,
  },
  {
    name: 'billing_transaction_status',
    table: 'billing_transaction',
    columns: `status, ${byBytes('tenant_id')}, expires_at`,
    unique: false,
  },
  {
    name: 'usage_record_key',
    table: 'usage_record',
    columns: `transaction_id, ${byBytes('tenant_id')}`,
    unique: true,
  },
] as const;

/**
 * What takes as long as the ledger is large.
 * @throws Fault LEDGER_UNAVAILABLE that names what is in the way, before anything is done
 */
export async function prepare<S>(db: Kysely<S>): Promise<void> {
  await refuseDependents(db);
  for (const index of indexes) await buildBeside(db, index);
}

/** What somebody else has made of these columns keeps their type from being changed. */
async function refuseDependents<S>(db: Kysely<S>): Promise<void> {
  const columns = Object.entries(keys).flatMap(([table, names]) => names.map((name) => `${table}.${name}`));
  const found = await sql<{ what: string }>`
    SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) AS what
    FROM pg_depend d
    JOIN pg_class c ON c.oid = d.refobjid AND c.relnamespace = current_schema()::regnamespace
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
    WHERE
      d.refclassid = 'pg_class'::regclass
      AND d.classid IN (
        'pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_publication_rel'::regclass
      )
      AND t.tgname IS DISTINCT FROM 'tenant_same'
      AND c.relname || '.' || a.attname = ANY (${columns})
    ORDER BY what`.execute(db);
  if (found.rows.length === 0) return;
  const all = found.rows.map(({ what }) => what).join(', ');
  throw new Fault(
    'LEDGER_UNAVAILABLE',
    `The ledger's migration changes the type of columns that these use: ${all}. ` +
      'Drop them, migrate, and make them again.',
  );
}

export async function up<S>(db: Kysely<S>): Promise<void> {
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
