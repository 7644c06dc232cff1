import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import type { AuditedStores } from '../audit/audit-command.ts';
import { createSqlAuditSource } from '../audit/sql-audit-source.ts';
import type { RedisConfig } from '../config/redis.ts';
import type { Config } from '../config.ts';
import { systemClock } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import { createRedisHotState } from '../hot-state/redis/redis.ts';
import { loadScripts } from '../hot-state/redis/scripts.ts';
import { createReconciler } from '../jobs/reconcile/reconciler.ts';
import type { Driver } from '../ledger/drivers/driver.ts';
import { openDriver } from '../ledger/drivers/open-driver.ts';
import { openPostgres } from '../ledger/drivers/postgres.ts';
import { schemaVersion } from '../ledger/migrations/migrations.ts';
import { createSqlLedger } from '../ledger/sql-ledger.ts';
import { createSqlUpkeep } from '../ledger/sql-upkeep.ts';
import type { ReconcileReport } from '../observability/observer.ts';
import { openRedis } from './hot-state.ts';

export interface AuditedStoresOptions {
  readonly config: Pick<Config, 'databaseUrl' | 'dataDir' | 'redis'>;
  /** Told of troubles that the audit goes on after. */
  readonly warn: (text: string) => void;
}

/**
 * What an audit reads. Nothing is made or brought up to date for it.
 * @throws Fault LEDGER_UNAVAILABLE that says why it can't be opened
 */
export async function openAuditedStores({ config, warn }: AuditedStoresOptions): Promise<AuditedStores> {
  const undo = new AsyncDisposableStack();
  try {
    const driver = await openLedger(config);
    undo.defer(() => driver.close());
    await requireSchema(driver);
    const { redis } = config;
    return {
      source: createSqlAuditSource({ db: driver.db }),
      // Not before the ledger is audited, which can be done with Redis away.
      compareHotState: redis === null ? null : (tenantId) => compare(tenantId, redis, { driver, warn, undo }),
      close: () => undo.disposeAsync(),
    };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

async function openLedger(config: AuditedStoresOptions['config']): Promise<Driver> {
  const { databaseUrl, dataDir } = config;
  // A statement goes over all rows of a tenant: that may take long.
  if (databaseUrl !== null)
    return await openPostgres({ url: databaseUrl, lanes: 1, statementTimeoutMs: null });
  if (existsSync(join(dataDir, 'ledger'))) return await openDriver(config);
  throw new Fault(
    'LEDGER_UNAVAILABLE',
    `There is no ledger in ${dataDir}: set DATA_DIR or DATABASE_URL as the gateway has it.`,
  );
}

async function requireSchema({ db }: Driver): Promise<void> {
  const { rows: found } = await sql<{ exists: boolean }>`
    SELECT to_regclass('kysely_migration') IS NOT NULL AS exists`.execute(db);
  const { rows } =
    found[0]?.exists === true
      ? await sql<{ version: string }>`SELECT max(name) AS version FROM kysely_migration`.execute(db)
      : { rows: [] };
  const version = rows[0]?.version ?? 'none';
  if (version === schemaVersion) return;
  throw new Fault(
    'LEDGER_UNAVAILABLE',
    `The ledger's schema is ${version}, and this version of Tollgate audits ${schemaVersion}: use the version that ` +
      'serves it, or `tollgate migrate` first.',
  );
}

interface ComparisonParts {
  readonly driver: Driver;
  readonly warn: (text: string) => void;
  readonly undo: AsyncDisposableStack;
}

async function compare(
  tenantId: TenantId | null,
  redis: RedisConfig,
  { driver, warn, undo }: ComparisonParts,
): Promise<ReconcileReport> {
  const onFault = (what: string, error: unknown) =>
    warn(`${what}: ${error instanceof Error ? error.message : String(error)}\n`);
  const client = await openRedis(redis, { warn: () => undefined }, undo);
  const hotState = createRedisHotState({ run: await loadScripts(client), onFault });
  undo.defer(() => hotState.close());
  const reconciler = createReconciler({
    hotState,
    ledger: createSqlLedger({ driver }),
    upkeep: createSqlUpkeep(driver.db),
    timers: systemClock,
    onFault,
  });
  const { signal } = new AbortController();
  return await reconciler.run(tenantId === null ? 'all' : { tenantId }, { repairs: false, signal });
}
