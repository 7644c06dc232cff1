import { type Kysely, sql } from 'kysely';
import { DEFAULT_MIGRATION_TABLE, type Migration, Migrator } from 'kysely/migration';
import { Fault } from '../../domain/errors.ts';
import * as ledger from './0001-ledger.ts';
import * as catalog from './0002-catalog.ts';
import * as pricing from './0003-pricing.ts';
import * as limits from './0004-limits.ts';
import * as apiKeyQuotas from './0005-api-key-quotas.ts';
import * as warnings from './0006-warnings.ts';
import * as instances from './0007-instances.ts';
import * as jobRuns from './0008-job-runs.ts';
import * as references from './0009-references.ts';
import * as roomInPages from './0010-room-in-pages.ts';

/** Numbered and only added to: what has run somewhere is never edited. */
const migrations: Readonly<Record<string, Migration>> = {
  '0001-ledger': ledger,
  '0002-catalog': catalog,
  '0003-pricing': pricing,
  '0004-limits': limits,
  '0005-api-key-quotas': apiKeyQuotas,
  '0006-warnings': warnings,
  '0007-instances': instances,
  '0008-job-runs': jobRuns,
  '0009-references': references,
  '0010-room-in-pages': roomInPages,
};

/** The schema's version that this code is written for. */
export const schemaVersion = Object.keys(migrations).sort().at(-1) ?? '';

/**
 * Brings the schema to this code's version. Several processes may do so at once: the migrator takes an
 * advisory lock where the engine has several connections, and whoever comes later finds it done.
 * @throws the first failure; a failed migration leaves nothing behind. Fault LEDGER_UNAVAILABLE where the
 * schema is newer than this code, which is then left as it is.
 */
export async function migrate<S>(db: Kysely<S>): Promise<void> {
  await refuseNewerSchema(db);
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  // A newer version may have migrated since it was looked for, which the migrator calls corrupted.
  await refuseNewerSchema(db);
  throw error;
}

async function refuseNewerSchema<S>(db: Kysely<S>): Promise<void> {
  const table = await sql<{ found: boolean }>`
    SELECT to_regclass(${DEFAULT_MIGRATION_TABLE}) IS NOT NULL AS found`.execute(db);
  if (table.rows[0]?.found !== true) return;
  const executed = await sql<{ name: string }>`
    SELECT name FROM ${sql.table(DEFAULT_MIGRATION_TABLE)} ORDER BY name DESC`.execute(db);
  const newest = executed.rows.map(({ name }) => name).find((name) => migrations[name] === undefined);
  if (newest === undefined) return;
  throw new Fault(
    'LEDGER_UNAVAILABLE',
    `The ledger's schema is newer (${newest}) than this version of Tollgate knows (${schemaVersion}). ` +
      'It was left as it is: start the version that made it, or a newer one.',
  );
}
