import { type Kysely, sql } from 'kysely';

/**
 * Half of each page of transactions is kept for the next versions of its rows: a PENDING row is closed in its own page
 * more often, and fewer pages of closed rows have room for a new one (ADR 29). Pages that are there already stay as
 * they are.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE billing_transaction SET (fillfactor = 50)`.execute(db);
}
