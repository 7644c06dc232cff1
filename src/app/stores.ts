import { randomUUIDv7 } from 'node:crypto';
import type { Logger } from 'pino';
import type { AdminDependencies } from '../admin/admin-call.ts';
import type { CatalogStore } from '../catalog/catalog.ts';
import { createSqlCatalog } from '../catalog/sql-catalog.ts';
import type { Config } from '../config.ts';
import { dialects } from '../dialects/dialects.ts';
import { systemClock } from '../domain/clock.ts';
import { hashSecret, type SecretHash } from '../domain/ids.ts';
import type { Driver } from '../ledger/drivers/driver.ts';
import { openDriver, openMigratedDriver } from '../ledger/drivers/open-driver.ts';
import type { Instances } from '../ledger/instances.ts';
import { createSqlInstances } from '../ledger/sql-instances.ts';
import { createSqlLedger, type QueuedLedger } from '../ledger/sql-ledger.ts';
import type { Outbox, Webhooks } from '../outbox/outbox.ts';
import { createSqlOutbox } from '../outbox/sql-outbox.ts';
import { createSqlWebhooks } from '../outbox/sql-webhooks.ts';
import { withBuiltInPrices, withOneNamePerProvider } from '../prices/price-book.ts';
import { type OpenHotState, openHotState } from './hot-state.ts';
import type { Watch } from './watch.ts';

/** Where everything is kept that outlives a request. */
export interface Stores extends OpenHotState {
  readonly driver: Driver;
  readonly ledger: QueuedLedger;
  readonly instances: Instances;
  /** As it is stored, never cached, with the environment's admin; without the built-in prices. */
  readonly catalog: CatalogStore;
  readonly outbox: Outbox;
  readonly webhooks: Webhooks;
}

export interface StoresOptions {
  readonly config: Config;
  readonly watch: Watch;
  /** Whether the schema is brought up to date first: once, however many processes serve. */
  readonly migrates: boolean;
}

/** Whatever is opened puts its closer onto the stack at once. */
export async function openStores(
  { config, watch, migrates }: StoresOptions,
  undo: AsyncDisposableStack,
): Promise<Stores> {
  // First, since it tells soonest when it isn't there.
  const hot = await openHotState(config.redis, watch, undo);
  const driver = await (migrates ? openMigratedDriver(config) : openDriver(config));
  undo.defer(() => driver.close());
  if (migrates) await tellWeakness(driver, watch.log);
  const plain = createSqlLedger({ driver, onBatch: watch.observer.batchWritten });
  const ledger = watch.metrics?.measured(plain) ?? plain;
  const instances = createSqlInstances(driver);
  const stored = withOneNamePerProvider(createSqlCatalog({ db: driver.db }));
  const catalog = withEnvironmentAdmin(stored, config.adminToken);
  const [outbox, webhooks] = [createSqlOutbox(driver.db), createSqlWebhooks(driver.db)];
  return { ...hot, driver, ledger, instances, catalog, outbox, webhooks };
}

/** Once, however many processes serve: each says it in its health. */
async function tellWeakness(driver: Driver, log: Logger): Promise<void> {
  const weakness = await driver.weakness();
  if (weakness !== null) log.warn({ ledger: weakness }, 'what was charged is less safe than it should be');
}

/** What changes the stores: an admin's calls, and the start. */
export function administrationOf({ catalog, ledger, hotState }: Stores, log: Logger): AdminDependencies {
  return {
    catalog: withBuiltInPrices(catalog, systemClock),
    dialectNames: [...new Set(dialects.map(({ name }) => name))],
    ledger,
    hotState,
    clock: systemClock,
    newId: randomUUIDv7,
    onProjectionFailed: (error) => log.error({ err: error }, 'projecting a change by an admin'),
  };
}

/** The token of the environment counts as long as it is there, and is never stored. */
function withEnvironmentAdmin(store: CatalogStore, adminToken: string | null): CatalogStore {
  if (adminToken === null) return store;
  const expected = hashSecret(adminToken);
  return {
    ...store,
    findAdmin: async (secretHash: SecretHash) =>
      secretHash === expected ? 'ADMIN_TOKEN' : await store.findAdmin(secretHash),
  };
}
