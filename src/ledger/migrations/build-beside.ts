import { type Kysely, sql } from 'kysely';

export interface NewIndex {
  readonly name: string;
  /** A table and what of it, as CREATE INDEX takes it. */
  readonly on: string;
  readonly unique: boolean;
}

/**
 * Builds an index while others read and write its table. Called again after it was ended at any point, it goes on. Not
 * in a transaction, and with nobody else at the same index. It waits for transactions that are older than it, a dump
 * say, without anybody waiting for it.
 */
export async function buildBeside<S>(db: Kysely<S>, { name, on, unique }: NewIndex): Promise<void> {
  const found = await sql<{ whole: boolean }>`
    SELECT indisvalid AS whole FROM pg_index WHERE indexrelid = to_regclass(${name})`.execute(db);
  if (found.rows[0]?.whole === true) return;
  // What a build that was ended leaves behind is written to, and never read.
  if (found.rows[0] !== undefined) await sql`DROP INDEX CONCURRENTLY ${sql.id(name)}`.execute(db);
  const kind = unique ? 'UNIQUE INDEX' : 'INDEX';
  await sql`CREATE ${sql.raw(kind)} CONCURRENTLY ${sql.id(name)} ON ${sql.raw(on)}`.execute(db);
}
