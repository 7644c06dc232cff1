import { type Kysely, sql } from 'kysely';
import { lockTables } from './lock-tables.ts';

/**
 * Two references that the ledger's own statements keep, and that the engine checked for each row anew, which took a
 * quarter of a commit: a transaction is only written for a tenant that is there, and a usage record with
 * the transaction that it is of. What a reference also forbids is that the other row goes: transactions never go, and
 * now no tenant does. The audit still looks for a record without its transaction.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await lockTables(db, ['billing_transaction', 'usage_record', 'tenant']);
  await sql`ALTER TABLE billing_transaction DROP CONSTRAINT billing_transaction_tenant_id_fkey`.execute(db);
  await sql`ALTER TABLE usage_record DROP CONSTRAINT usage_record_tenant_id_transaction_id_fkey`.execute(db);
  await sql`
    CREATE FUNCTION refuse_end_of_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'tenant % can''t become another', OLD.tenant_id USING ERRCODE = 'restrict_violation';
      END IF;
      RAISE EXCEPTION 'rows of % are never deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END $$`.execute(db);
  await sql`
    CREATE TRIGGER tenant_kept BEFORE DELETE ON tenant
    FOR EACH ROW EXECUTE FUNCTION refuse_end_of_tenant()`.execute(db);
  await sql`
    CREATE TRIGGER tenant_all_kept BEFORE TRUNCATE ON tenant
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_end_of_tenant()`.execute(db);
  await sql`
    CREATE TRIGGER tenant_same BEFORE UPDATE OF tenant_id ON tenant
    FOR EACH ROW WHEN (OLD.tenant_id <> NEW.tenant_id) EXECUTE FUNCTION refuse_end_of_tenant()`.execute(db);
}
