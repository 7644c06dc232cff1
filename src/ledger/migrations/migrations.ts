import type { Kysely } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import * as ledger from './0001-ledger.ts';
import * as catalog from './0002-catalog.ts';
import * as pricing from './0003-pricing.ts';

/** Numbered and only added to: what has run somewhere is never edited. */
const migrations: Readonly<Record<string, Migration>> = {
  '0001-ledger': ledger,
  '0002-catalog': catalog,
  '0003-pricing': pricing,
};

/**
 * Brings the schema to this code's version.
 * @throws the first failure; a failed migration leaves nothing behind.
 */
export async function migrate<S>(db: Kysely<S>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}
