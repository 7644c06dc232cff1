import { type Kysely, sql } from 'kysely';

/** When each job was last begun, by whichever process: a job of all processes is done by one of them at a time. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE job_run (
      name       text PRIMARY KEY,
      started_at timestamptz NOT NULL
    )`.execute(db);
}
