import { type Kysely, sql } from 'kysely';

/**
 * What quotas of API keys need to be counted, and the tokens that an open request keeps free of them. Requests,
 * tokens and currency units are in one column, the tokens of a life among them: more than an amount needs.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE api_key_quota
      ALTER COLUMN total_quota TYPE numeric(29, 9),
      ALTER COLUMN used_quota TYPE numeric(29, 9),
      ADD COLUMN period date,
      ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
      ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now()`.execute(db);
  await sql`ALTER TABLE billing_transaction ADD COLUMN hold_tokens bigint CHECK (hold_tokens >= 0)`.execute(
    db,
  );
}
