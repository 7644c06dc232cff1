import { type Insertable, type Kysely, type Selectable, sql } from 'kysely';
import { type Clock, systemClock } from '../domain/clock.ts';
import type { TenantId } from '../domain/ids.ts';
import { formatAmount, nano } from '../domain/money.ts';
import type { Schema } from '../ledger/schema.ts';
import type {
  AlreadyExists,
  AuditEntry,
  CatalogStore,
  NewTenant,
  Tenant,
  UnknownTimeZone,
} from './catalog.ts';
import { insertAdminToken, insertFirstAdminToken, selectAdmin } from './sql-admins.ts';
import {
  changeApiKey,
  insertApiKey,
  revokeApiKey,
  selectApiKeys,
  selectCredentials,
} from './sql-api-keys.ts';
import { insertAudit, insertAuditOnce, selectAudit } from './sql-audit.ts';
import { putModel, selectModels } from './sql-models.ts';
import { putPrices, selectPrice, selectPrices } from './sql-prices.ts';
import { putUpstream, selectUpstreams } from './sql-upstreams.ts';

type QuotaInsert = Insertable<Schema['tenant_quota']>;

export interface SqlCatalogOptions {
  readonly db: Kysely<Schema>;
  readonly clock?: Clock;
}

/** The catalogue on any SQL engine that Kysely has a dialect for. */
export function createSqlCatalog({ db, clock = systemClock }: SqlCatalogOptions): CatalogStore {
  const now = () => new Date(clock.now());
  return {
    findApiKey: async (secretHash) => (await selectCredentials(db, [secretHash])).get(secretHash),
    findApiKeys: (secretHashes) => selectCredentials(db, secretHashes),
    findModel: async (name) => (await selectModels(db, name))[0],
    listModels: () => selectModels(db),

    findTenant: async (id) => {
      const row = await db.selectFrom('tenant').selectAll().where('tenant_id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : decodeTenant(row);
    },
    listTenants: async ({ after, limit }) => {
      let query = db.selectFrom('tenant').selectAll().orderBy('tenant_id').limit(limit);
      if (after !== undefined) query = query.where('tenant_id', '>', after);
      return (await query.execute()).map(decodeTenant);
    },
    createTenant: (tenant, audit) => insertTenant(db, tenant, audit, now()),

    createApiKey: (apiKey, audit) => insertApiKey(db, apiKey, audit, now()),
    changeApiKey: (tenantId, id, changes, audit) =>
      changeApiKey(db, { tenantId, id, audit, at: now() }, changes),
    listApiKeys: (tenantId) => selectApiKeys(db, tenantId),
    revokeApiKey: (tenantId, id, audit) => revokeApiKey(db, { tenantId, id, audit, at: now() }),

    putUpstream: (upstream, audit) => putUpstream(db, upstream, audit, now()),
    listUpstreams: () => selectUpstreams(db),
    putModel: (model, audit) => putModel(db, model, audit, now()),
    findPrice: (provider, model) => selectPrice(db, provider, model),
    listPrices: () => selectPrices(db),
    putPrices: (prices, audit) => putPrices(db, prices, audit, now()),

    findAdmin: (secretHash) => selectAdmin(db, secretHash),
    createAdminToken: (name, secretHash) => insertAdminToken(db, { name, secretHash, at: now() }),
    createFirstAdminToken: (name, secretHash) => insertFirstAdminToken(db, { name, secretHash, at: now() }),

    recordAudit: (audit) => insertAudit(db, audit, now()),
    recordAuditOnce: (audit) => insertAuditOnce(db, audit, now()),
    listAudit: (filter) => selectAudit(db, filter),
  };
}

function decodeTenant(row: Selectable<Schema['tenant']>): Tenant {
  return { id: row.tenant_id as TenantId, name: row.name, createdAt: row.created_at };
}

function insertTenant(
  db: Kysely<Schema>,
  tenant: NewTenant,
  audit: AuditEntry,
  at: Date,
): Promise<Tenant | AlreadyExists | UnknownTimeZone> {
  return db.transaction().execute(async (trx) => {
    if (!(await knowsTimeZone(trx, tenant.timeZone))) return { kind: 'unknown_time_zone' };
    // A concurrent one of the same id is waited for here: whoever comes second sees all of the first.
    const row = await trx
      .insertInto('tenant')
      .values({ tenant_id: tenant.id, name: tenant.name, created_at: at })
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) return { kind: 'already_exists' };
    await trx
      .insertInto('tenant_quota')
      .values({
        tenant_id: tenant.id,
        credit_limit: formatAmount(nano(tenant.creditLimit)),
        currency: tenant.currency,
        time_zone: tenant.timeZone,
        daily_quota: tenant.dailyQuota,
        monthly_quota: tenant.monthlyQuota,
        rpm_limit: tenant.rpmLimit,
        tpm_limit: tenant.tpmLimit,
        max_open_requests: tenant.maxOpenRequests,
        block_on_insufficient: tenant.blockOnInsufficient,
        allow_negative: tenant.allowNegative,
        stream_allow_negative: tenant.streamAllowNegative,
        warning_thresholds: tenant.warningThresholds === null ? null : [...tenant.warningThresholds],
        rate_multiplier_ppm: sql<QuotaInsert['rate_multiplier_ppm']>`${tenant.rateMultiplierPpm}::bigint`,
        created_at: at,
        updated_at: at,
      })
      .execute();
    await insertAudit(trx, audit, at);
    return decodeTenant(row);
  });
}

/** Runtime and engine bring their own time zones, of their own age. */
async function knowsTimeZone(db: Kysely<Schema>, timeZone: string): Promise<boolean> {
  const { rows } = await sql`
    SELECT FROM pg_timezone_names WHERE lower(name) = lower(${timeZone}) LIMIT 1`.execute(db);
  return rows.length > 0;
}
