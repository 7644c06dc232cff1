import { type Kysely, sql } from 'kysely';

/** Limits of API keys, and of requests that are open at once. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE tenant_quota
      ADD COLUMN max_open_requests bigint CHECK (max_open_requests >= 0),
      ADD COLUMN block_on_insufficient boolean`.execute(db);
  await sql`
    ALTER TABLE api_key
      ADD COLUMN rpm_limit bigint CHECK (rpm_limit >= 0),
      ADD COLUMN tpm_limit bigint CHECK (tpm_limit >= 0),
      ADD COLUMN max_open_requests bigint CHECK (max_open_requests >= 0),
      ADD COLUMN allowed_networks text[]`.execute(db);
}
