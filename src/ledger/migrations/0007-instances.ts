import { type Kysely, sql } from 'kysely';

/**
 * Which gateway processes live, so that others settle what one that died has left open. An instance of an older
 * version says no `place`: it doesn't beat either, and is never taken for dead.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE gateway_instance
      ADD COLUMN place      text,
      ADD COLUMN beat       bigint NOT NULL DEFAULT 0,
      ADD COLUMN ended_at   timestamptz,
      ADD COLUMN settled_at timestamptz`.execute(db);
  await sql`CREATE INDEX gateway_instance_unsettled ON gateway_instance (id) WHERE settled_at IS NULL`.execute(
    db,
  );
}
