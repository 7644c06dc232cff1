import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../../../test/support/services/postgres.ts';
import { newDatabase, newDataDir, newEmptyDatabase } from '../../../test/support/template.ts';
import type { Driver } from '../drivers/driver.ts';
import { openDriver, openMigratedDriver } from '../drivers/open-driver.ts';
import { openPglite } from '../drivers/pglite.ts';
import { migrate, schemaVersion } from './migrations.ts';

const executed = async (driver: Driver) =>
  (await driver.query<{ name: string }>('SELECT name FROM kysely_migration ORDER BY name', [])).map(
    ({ name }) => name,
  );

async function addNewer(driver: Driver): Promise<void> {
  await driver.query(`INSERT INTO kysely_migration (name, timestamp) VALUES ('0999-newer', 'now')`, []);
}

const refusal = new RegExp(
  `newer \\(0999-newer\\) than this version of Tollgate knows \\(${schemaVersion}\\)`,
);

describe('the migrations on Postgres', () => {
  let database: TestDatabase;
  const address = () => ({ databaseUrl: database.url, dataDir: '' });

  describe('of an empty database', () => {
    beforeEach(async () => {
      database = await newEmptyDatabase();
    });
    afterEach(() => database.remove());

    it('run once when several processes start at once, and all of them go on', async () => {
      const drivers = await Promise.all(Array.from({ length: 4 }, () => openMigratedDriver(address())));
      for (const driver of drivers) {
        const names = await executed(driver);
        expect(names.at(-1)).toBe(schemaVersion);
        expect(new Set(names).size).toBe(names.length);
        expect(await driver.query('SELECT FROM billing_transaction', [])).toEqual([]);
      }
      for (const driver of drivers) await driver.close();
    });

    it('wait for those of another process, longer than a statement may take', async () => {
      const other = await openDriver(address());
      const held = other.db.transaction().execute(async (trx) => {
        await sql`SELECT pg_advisory_xact_lock(3853314791062309107)`.execute(trx);
        for (let second = 0; second < 7; second++) await sql`SELECT pg_sleep(1)`.execute(trx);
      });
      let released = false;
      const release = held.then(() => {
        released = true;
      });
      const driver = await openMigratedDriver(address());
      expect(released).toBe(true);
      await release;
      expect((await executed(driver)).at(-1)).toBe(schemaVersion);
      await driver.close();
      await other.close();
    });
  });

  describe('of a newer database', () => {
    beforeEach(async () => {
      database = await newDatabase();
    });
    afterEach(() => database.remove());

    it('are refused, and nothing is changed', async () => {
      const newer = await openDriver(address());
      await addNewer(newer);
      const before = await executed(newer);
      await expect(openMigratedDriver(address())).rejects.toThrow(refusal);
      expect(await executed(newer)).toEqual(before);
      await newer.close();
    });
  });
});

describe('the migrations on PGlite', () => {
  it('refuse a newer schema too', async () => {
    const dataDir = await newDataDir();
    const driver = await openPglite(dataDir.path);
    await migrate(driver.db);
    await addNewer(driver);
    await expect(migrate(driver.db)).rejects.toThrow(refusal);
    await driver.close();
    await dataDir.remove();
  });
});
