import { type Kysely, sql } from 'kysely';

/** Limits of API keys, of requests that are open at once, and what a tenant's terms say of negative balances. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE tenant_quota
      ADD COLUMN max_open_requests bigint CHECK (max_open_requests >= 0),
      ADD COLUMN block_on_insufficient boolean,
      ADD COLUMN allow_negative boolean,
      ADD COLUMN stream_allow_negative boolean`.execute(db);
  await sql`
    ALTER TABLE api_key
      ADD COLUMN rpm_limit bigint CHECK (rpm_limit >= 0),
      ADD COLUMN tpm_limit bigint CHECK (tpm_limit >= 0),
      ADD COLUMN max_open_requests bigint CHECK (max_open_requests >= 0),
      ADD COLUMN allowed_networks text[]`.execute(db);
}
