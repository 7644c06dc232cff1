import { type Kysely, sql } from 'kysely';
import { Fault } from '../../domain/errors.ts';
import { SqlError, uniqueViolation } from '../drivers/driver.ts';

export interface NewIndex {
  readonly name: string;
  readonly table: string;
  /** As CREATE INDEX takes them. */
  readonly columns: string;
  readonly unique: boolean;
  /** Of some rows; absent of all. */
  readonly where?: string;
}

/**
 * Builds an index while others read and write its table. Called again after it was ended at any point, it goes on. Not
 * in a transaction, and with nobody else at the same index. It waits for transactions that are older than it, a dump
 * say, without anybody waiting for it.
 * @throws Fault LEDGER_UNAVAILABLE that names the keys of which there are several rows
 */
export async function buildBeside<S>(db: Kysely<S>, index: NewIndex): Promise<void> {
  const { name, table, columns, unique, where } = index;
  const found = await sql<{ whole: boolean }>`
    SELECT indisvalid AS whole FROM pg_index WHERE indexrelid = to_regclass(${name})`.execute(db);
  if (found.rows[0]?.whole === true) return;
  // What a build that was ended leaves behind is written to, and never read.
  if (found.rows[0] !== undefined) await sql`DROP INDEX CONCURRENTLY ${sql.id(name)}`.execute(db);
  const kind = sql.raw(unique ? 'UNIQUE INDEX' : 'INDEX');
  const some = sql.raw(where === undefined ? '' : `WHERE ${where}`);
  const build = sql`
    CREATE ${kind} CONCURRENTLY ${sql.id(name)} ON ${sql.id(table)} (${sql.raw(columns)}) ${some}`;
  try {
    await build.execute(db);
  } catch (error) {
    if (error instanceof SqlError && error.sqlState === uniqueViolation) await refuseDoubles(db, index);
    throw error;
  }
}

async function refuseDoubles<S>(db: Kysely<S>, { table, columns, where }: NewIndex): Promise<void> {
  const some = sql.raw(where === undefined ? '' : `WHERE ${where}`);
  const doubles = await sql<{ key: string }>`
    SELECT ROW(${sql.raw(columns)})::text AS key FROM ${sql.id(table)} ${some}
    GROUP BY ${sql.raw(columns)} HAVING count(*) > 1 LIMIT 10`.execute(db);
  if (doubles.rows.length === 0) return;
  const keys = doubles.rows.map(({ key }) => key).join(', ');
  throw new Fault(
    'LEDGER_UNAVAILABLE',
    `${table} has several rows of the same (${columns.replaceAll(' COLLATE "C"', '')}), which an index that has gone ` +
      `wrong let in: ${keys}. See "Rows that an index should have refused" in docs/operations.md.`,
  );
}
