import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createCatalogAnnouncer } from '../catalog/redis-invalidation.ts';
import { createSqlCatalog } from '../catalog/sql-catalog.ts';
import type { RedisConfig } from '../config/redis.ts';
import type { Config } from '../config.ts';
import { SqlError } from '../ledger/drivers/driver.ts';
import { openDriver, openMigratedDriver } from '../ledger/drivers/open-driver.ts';
import { withOneNamePerProvider } from '../prices/price-book.ts';
import { createCatalogPriceStore, emptyPriceStore, type PriceStore } from '../prices/price-store.ts';
import { openRedis } from './hot-state.ts';

export interface PriceStoreOptions {
  readonly config: Pick<Config, 'databaseUrl' | 'dataDir' | 'redis'>;
  /** One makes no ledger where there is none, and brings no schema up to date. */
  readonly dryRun: boolean;
  /** Told where gateways that run can't be told of new prices. */
  readonly warn: (text: string) => void;
}

/** A database whose schema is older than the price book. */
const undefinedTable = '42P01';

/**
 * The stored prices alone, for a command.
 * @throws Fault LEDGER_UNAVAILABLE when it can't be opened: an embedded one not while a gateway has it
 */
export async function openPriceStore({ config, dryRun, warn }: PriceStoreOptions): Promise<PriceStore> {
  const { databaseUrl, dataDir, redis } = config;
  if (dryRun && databaseUrl === null && !existsSync(join(dataDir, 'ledger'))) return emptyPriceStore;
  const driver = await (dryRun ? openDriver(config) : openMigratedDriver(config));
  const store = createCatalogPriceStore(withOneNamePerProvider(createSqlCatalog({ db: driver.db })), () =>
    driver.close(),
  );
  if (dryRun) return { ...emptyPriceStore, list: () => store.list().catch(noneYet), close: store.close };
  if (redis === null) return store;
  return {
    ...store,
    put: async (prices, source) => {
      await store.put(prices, source);
      await announce(redis, warn);
    },
  };
}

function noneYet(error: unknown): readonly [] {
  if (error instanceof SqlError && error.sqlState === undefinedTable) return [];
  throw error;
}

/** The prices are in, whether the gateways can be told or not. */
async function announce(redis: RedisConfig, warn: PriceStoreOptions['warn']): Promise<void> {
  const onFault = (_: unknown, error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    warn(`Gateways that run see the prices after 10 seconds, since they can't be told: ${reason}\n`);
  };
  const undo = new AsyncDisposableStack();
  try {
    const client = await openRedis(redis, { warn: () => undefined }, undo);
    const channels = { publish: (channel: string, message: string) => client.publish(channel, message) };
    const announcer = createCatalogAnnouncer(channels, { onFault });
    announcer.announce();
    await announcer.told();
  } catch (error) {
    onFault('connecting', error);
  } finally {
    await undo.disposeAsync();
  }
}
