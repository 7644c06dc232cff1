import { resolve } from 'node:path';
import { migrate } from '../migrations/migrations.ts';
import type { Driver } from './driver.ts';
import { openPglite } from './pglite.ts';
import { openPostgres } from './postgres.ts';

/** Where a ledger is: in Postgres, or embedded where no URL is given. */
export interface LedgerAddress {
  readonly databaseUrl: string | null;
  readonly dataDir: string;
}

/** A name for people. */
export function engineName({ databaseUrl }: LedgerAddress): string {
  return databaseUrl === null ? 'embedded PGlite' : 'postgres';
}

/**
 * The ledger's engine with its schema as it is.
 * @throws Fault LEDGER_UNAVAILABLE that says why it can't be opened
 */
export function openDriver({ databaseUrl, dataDir }: LedgerAddress): Promise<Driver> {
  return databaseUrl === null ? openPglite(resolve(dataDir)) : openPostgres({ url: databaseUrl });
}

/**
 * The ledger's engine with its schema at this code's version.
 * @throws Fault LEDGER_UNAVAILABLE that says why it can't be opened, or that its schema is newer
 */
export async function openMigratedDriver(address: LedgerAddress): Promise<Driver> {
  const { databaseUrl } = address;
  if (databaseUrl !== null) await migratePostgres(databaseUrl);
  const driver = await openDriver(address);
  if (databaseUrl !== null) return driver;
  try {
    await migrate(driver.db);
    return driver;
  } catch (error) {
    await driver.close();
    throw error;
  }
}

/** On connections of its own: a migration may wait for another process's, and for as long as it takes. */
async function migratePostgres(url: string): Promise<void> {
  const driver = await openPostgres({ url, lanes: 1, statementTimeoutMs: null });
  try {
    await migrate(driver.db);
  } finally {
    await driver.close();
  }
}
