import { setTimeout as sleep } from 'node:timers/promises';
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
import * as keys from './0011-keys.ts';
import * as partialIndexes from './0012-partial-indexes.ts';

/** A transaction of its own. */
interface Step extends Migration {
  /**
   * What takes long, and can be done while gateways of the version before go on: before it, and outside of its
   * transaction. It may be ended at any point, and is called again then.
   */
  prepare?<S>(db: Kysely<S>): Promise<void>;
}

/** Numbered and only added to: what has run somewhere is never edited. */
const migrations: Readonly<Record<string, Step>> = {
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
  '0011-keys': keys,
  '0012-partial-indexes': partialIndexes,
};

/** The schema's version that this code is written for. */
export const schemaVersion = Object.keys(migrations).sort().at(-1) ?? '';

/**
 * Brings the schema to this code's version, or to an older one of which no newer has been. Several processes may do so
 * at once: whoever comes later waits, and finds it done.
 * @throws the first failure; a failed migration leaves nothing behind, and those before it stay. Fault
 * LEDGER_UNAVAILABLE where the schema is newer than this code, which is then left as it is.
 */
export async function migrate<S>(db: Kysely<S>, to = schemaVersion): Promise<void> {
  if ((await missing(db, to)).length === 0) return;
  await db.connection().execute(async (own) => {
    await toldLater('Another process migrates the ledger: waiting for it.', lockOut(own));
    try {
      for (const name of await missing(own, to))
        await toldLater(`The ledger is being migrated (${name}).`, take(own, name));
    } finally {
      // Of a connection that is gone the server takes it back itself.
      await sql`SELECT pg_advisory_unlock(${migrationLock})`.execute(own).catch(() => undefined);
    }
  });
}

/** Any number that is nobody else's. */
const migrationLock = 7_145_052_021;
const betweenTriesMs = 200;

/**
 * Waits for those that migrate already. It asks again and again, since whoever waits in a statement is waited for by
 * what builds an index beside everybody.
 */
async function lockOut<S>(db: Kysely<S>): Promise<void> {
  for (;;) {
    const asked = await sql<{ taken: boolean }>`
      SELECT pg_try_advisory_lock(${migrationLock}) AS taken`.execute(db);
    if (asked.rows[0]?.taken === true) return;
    await sleep(betweenTriesMs);
  }
}

async function take<S>(db: Kysely<S>, name: string): Promise<void> {
  await migrations[name]?.prepare?.(db);
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateTo(name);
  if (error !== undefined) throw error;
}

/** What takes long is said to whoever waits for it. */
async function toldLater(what: string, work: Promise<void>): Promise<void> {
  const timer = setTimeout(() => console.error(what), 2_000);
  try {
    await work;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The migrations up to a version that the schema hasn't had, in their order.
 * @throws Fault LEDGER_UNAVAILABLE where it has had one that isn't known here
 */
async function missing<S>(db: Kysely<S>, to: string): Promise<readonly string[]> {
  const table = await sql<{ found: boolean }>`
    SELECT to_regclass(${DEFAULT_MIGRATION_TABLE}) IS NOT NULL AS found`.execute(db);
  const wanted = Object.keys(migrations)
    .sort()
    .filter((name) => name <= to);
  if (table.rows[0]?.found !== true) return wanted;
  const executed = await sql<{ name: string }>`
    SELECT name FROM ${sql.table(DEFAULT_MIGRATION_TABLE)} ORDER BY name DESC`.execute(db);
  const had = executed.rows.map(({ name }) => name);
  const newest = had.find((name) => migrations[name] === undefined);
  if (newest === undefined) return wanted.filter((name) => !had.includes(name));
  throw new Fault(
    'LEDGER_UNAVAILABLE',
    `The ledger's schema is newer (${newest}) than this version of Tollgate knows (${schemaVersion}). ` +
      'It was left as it is: start the version that made it, or a newer one.',
  );
}
