import { type Kysely, type Selectable, sql, type Updateable } from 'kysely';
import type { ApiKeyId, SecretHash, TenantId } from '../domain/ids.ts';
import type { Schema } from '../ledger/schema.ts';
import type { ApiKey, ApiKeyChanges, AuditEntry, Credentials, NewApiKey } from './catalog.ts';
import { insertAudit } from './sql-audit.ts';

function decodeApiKey(row: Selectable<Schema['api_key']>): ApiKey {
  return {
    id: row.id as ApiKeyId,
    tenantId: row.tenant_id as TenantId,
    name: row.name,
    prefix: row.prefix,
    models: row.models,
    expiresAt: row.expires_at,
    rpmLimit: countOrNull(row.rpm_limit),
    tpmLimit: countOrNull(row.tpm_limit),
    maxOpenRequests: countOrNull(row.max_open_requests),
    allowedNetworks: row.allowed_networks,
    revokedAt: row.revoked_at,
    createdAt: row.created_at,
  };
}

function countOrNull(count: string | null): number | null {
  return count === null ? null : Number(count);
}

type Terms = Pick<
  Selectable<Schema['tenant_quota']>,
  'currency' | 'block_on_insufficient' | 'allow_negative' | 'stream_allow_negative'
>;

interface CredentialsRow extends Selectable<Schema['api_key']>, Terms {
  readonly multiplier_ppm: string;
  readonly tenant_max_open_requests: string | null;
}

/** Those that there are, in one statement. */
export async function selectCredentials(
  db: Kysely<Schema>,
  secretHashes: readonly SecretHash[],
): Promise<ReadonlyMap<SecretHash, Credentials>> {
  // A look-up each, however few rows the tables have: a join would read all of them.
  const { rows } = await sql<CredentialsRow>`
    SELECT
      k.*, q.currency, q.rate_multiplier_ppm AS multiplier_ppm, q.max_open_requests AS tenant_max_open_requests,
      q.block_on_insufficient, q.allow_negative, q.stream_allow_negative
    FROM unnest(${[...secretHashes]}::text[]) AS s (secret_hash)
    CROSS JOIN LATERAL (SELECT * FROM api_key k WHERE k.secret_hash = s.secret_hash OFFSET 0) k
    CROSS JOIN LATERAL (SELECT * FROM tenant_quota q WHERE q.tenant_id = k.tenant_id OFFSET 0) q`.execute(db);
  return new Map(
    rows.map((row) => {
      const terms = {
        currency: row.currency,
        rateMultiplierPpm: BigInt(row.multiplier_ppm),
        maxOpenRequests: countOrNull(row.tenant_max_open_requests),
        blockOnInsufficient: row.block_on_insufficient,
        allowNegative: row.allow_negative,
        streamAllowNegative: row.stream_allow_negative,
      };
      return [row.secret_hash as SecretHash, { apiKey: decodeApiKey(row), terms }];
    }),
  );
}

export async function selectApiKeys(db: Kysely<Schema>, tenantId: TenantId): Promise<readonly ApiKey[]> {
  const rows = await db
    .selectFrom('api_key')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(decodeApiKey);
}

type Changeable = Pick<
  Updateable<Schema['api_key']>,
  'name' | 'models' | 'expires_at' | 'rpm_limit' | 'tpm_limit' | 'max_open_requests' | 'allowed_networks'
>;

/** What may change, as columns; an absent member is no column. */
function columnsOf(changes: ApiKeyChanges): Changeable {
  const list = (values: readonly string[] | null) => (values === null ? null : [...values]);
  return {
    ...(changes.name === undefined ? {} : { name: changes.name }),
    ...(changes.models === undefined ? {} : { models: list(changes.models) }),
    ...(changes.expiresAt === undefined ? {} : { expires_at: changes.expiresAt }),
    ...(changes.rpmLimit === undefined ? {} : { rpm_limit: changes.rpmLimit }),
    ...(changes.tpmLimit === undefined ? {} : { tpm_limit: changes.tpmLimit }),
    ...(changes.maxOpenRequests === undefined ? {} : { max_open_requests: changes.maxOpenRequests }),
    ...(changes.allowedNetworks === undefined ? {} : { allowed_networks: list(changes.allowedNetworks) }),
  };
}

export function insertApiKey(
  db: Kysely<Schema>,
  apiKey: NewApiKey,
  audit: AuditEntry,
  at: Date,
): Promise<ApiKey> {
  return db.transaction().execute(async (trx) => {
    const row = await trx
      .insertInto('api_key')
      .values({
        tenant_id: apiKey.tenantId,
        id: apiKey.id,
        secret_hash: apiKey.secretHash,
        prefix: apiKey.prefix,
        ...columnsOf(apiKey),
        name: apiKey.name,
        revoked_at: null,
        created_at: at,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    await insertAudit(trx, audit, at);
    return decodeApiKey(row);
  });
}

/** Of which API key something is changed, by whom and when. */
interface Change {
  readonly tenantId: TenantId;
  readonly id: ApiKeyId;
  readonly audit: AuditEntry;
  readonly at: Date;
}

export function revokeApiKey(
  db: Kysely<Schema>,
  { tenantId, id, audit, at }: Change,
): Promise<ApiKey | undefined> {
  return db.transaction().execute(async (trx) => {
    const revoked = await trx
      .updateTable('api_key')
      .set({ revoked_at: at })
      .where('tenant_id', '=', tenantId)
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .returningAll()
      .executeTakeFirst();
    if (revoked !== undefined) {
      await insertAudit(trx, audit, at);
      return decodeApiKey(revoked);
    }
    // Revoked before: it stays as it was, since when it ended is history.
    const row = await trx
      .selectFrom('api_key')
      .selectAll()
      .where('tenant_id', '=', tenantId)
      .where('id', '=', id)
      .executeTakeFirst();
    return row === undefined ? undefined : decodeApiKey(row);
  });
}

export function changeApiKey(
  db: Kysely<Schema>,
  { tenantId, id, audit, at }: Change,
  changes: ApiKeyChanges,
): Promise<ApiKey | undefined> {
  return db.transaction().execute(async (trx) => {
    const row = await trx
      .updateTable('api_key')
      // The id, so that there is always something to set.
      .set({ id, ...columnsOf(changes) })
      .where('tenant_id', '=', tenantId)
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) return undefined;
    await insertAudit(trx, audit, at);
    return decodeApiKey(row);
  });
}
