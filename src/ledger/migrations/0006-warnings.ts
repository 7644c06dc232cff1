import { type Kysely, sql } from 'kysely';

/**
 * Warnings of limits that run out: when a tenant wants them, the events that the ledger's statements write, and to
 * whom each is delivered.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Rows that are there stay without a base until their next transaction: a gateway of an older version that goes on
  // serving isn't kept waiting while a million of them are written.
  await sql`
    ALTER TABLE tenant_quota
      ADD COLUMN warning_thresholds smallint[],
      ADD COLUMN warning_base numeric(20, 9)`.execute(db);
  await sql`ALTER TABLE tenant_quota ALTER COLUMN warning_base SET DEFAULT 0`.execute(db);

  // The cursor of pages; in the order of insertion, which isn't the order of commits.
  await sql`
    CREATE TABLE outbox (
      position      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      id            uuid NOT NULL DEFAULT gen_random_uuid(),
      tenant_id     text NOT NULL,
      type          text NOT NULL,
      data          jsonb NOT NULL,
      created_at    timestamptz NOT NULL DEFAULT now(),
      dispatched_at timestamptz
    )`.execute(db);
  await sql`CREATE INDEX outbox_undispatched ON outbox (position) WHERE dispatched_at IS NULL`.execute(db);
  await sql`CREATE INDEX outbox_tenant ON outbox (tenant_id, position)`.execute(db);

  await sql`
    CREATE TABLE webhook (
      id          text PRIMARY KEY,
      tenant_id   text REFERENCES tenant,
      url         text NOT NULL,
      secret      text NOT NULL,
      events      text[],
      created_at  timestamptz NOT NULL DEFAULT now(),
      disabled_at timestamptz
    )`.execute(db);

  await sql`
    CREATE TABLE webhook_delivery (
      webhook_id      text NOT NULL REFERENCES webhook ON DELETE CASCADE,
      event           bigint NOT NULL REFERENCES outbox ON DELETE CASCADE,
      attempts        integer NOT NULL DEFAULT 0,
      next_attempt_at timestamptz NOT NULL DEFAULT now(),
      delivered_at    timestamptz,
      failed_at       timestamptz,
      last_error      text,
      PRIMARY KEY (event, webhook_id)
    )`.execute(db);
  await sql`
    CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, next_attempt_at)
    WHERE delivered_at IS NULL AND failed_at IS NULL`.execute(db);
}
