import { type Kysely, sql } from 'kysely';

/**
 * Half of each page of transactions is kept for the next version of its rows: a PENDING row that is closed stays where it
 * is, and a page whose rows are closed has no room that a new row could be put into (ADR 29). Pages that are there
 * already stay as they are.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE billing_transaction SET (fillfactor = 50)`.execute(db);
}
