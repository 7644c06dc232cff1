import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newDataDir, type TestDataDir } from '../../../test/support/template.ts';
import { Fault } from '../../domain/errors.ts';
import { describeDriver } from './driver.contract.ts';
import { engineError, SqlError } from './driver.ts';
import { openPglite } from './pglite.ts';

describeDriver('PGlite', async () => {
  const own = await newDataDir();
  const driver = await openPglite(own.path);
  return {
    ...driver,
    close: async () => {
      await driver.close();
      await own.remove();
    },
  };
});

describe('the embedded ledger', () => {
  let dataDir: TestDataDir;
  beforeEach(async () => {
    dataDir = await newDataDir();
  });
  afterEach(() => dataDir.remove());

  it('answers what waits and what comes with LEDGER_UNAVAILABLE once it is closed', async () => {
    const driver = await openPglite(dataDir.path);
    await driver.close();
    await expect(driver.query('SELECT 1', [])).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  });

  it('is never taken for a new one when a part of it is missing', async () => {
    await rm(join(dataDir.path, 'ledger', 'PG_VERSION'));
    const before = await readdir(join(dataDir.path, 'ledger'));
    await expect(openPglite(dataDir.path)).rejects.toThrow(/not a whole ledger.*left as it is/s);
    expect(await readdir(join(dataDir.path, 'ledger'))).toEqual(before);
    expect(await readdir(dataDir.path)).toEqual(['ledger', 'ledger.lock']);
  });

  it('says why it can not be opened, and leaves the directory to the next', async () => {
    await writeFile(join(dataDir.path, 'ledger', 'global', 'pg_control'), 'torn');
    await expect(openPglite(dataDir.path)).rejects.toThrow(/can't be opened: .+/);
    expect(await readdir(dataDir.path)).toEqual(['ledger', 'ledger.lock']);
  });

  it('is made anew where a first start was interrupted', async () => {
    const fresh = await mkdtemp(join(tmpdir(), 'tollgate-interrupted-'));
    await writeFile(join(fresh, 'ledger.new'), 'half of a start');
    const driver = await openPglite(fresh);
    expect(await driver.query('SELECT 1 AS one', [])).toEqual([{ one: 1 }]);
    await driver.close();
    expect(await readdir(fresh)).toEqual(['ledger', 'ledger.lock']);
    await rm(fresh, { recursive: true });
  });

  it('does not let anyone into a transaction that is open', async () => {
    const driver = await openPglite(dataDir.path);
    await driver.db.transaction().execute(async (trx) => {
      const insert = { tenant_id: 'inside', name: 'x' };
      await trx.insertInto('tenant').values(insert).execute();
      const outside = driver.query('SELECT count(*) AS tenants FROM tenant', []);
      await trx
        .insertInto('tenant')
        .values({ ...insert, tenant_id: 'inside too' })
        .execute();
      // It waits for the end of this transaction, whose rows it then sees together.
      outside.then((rows) => expect(rows).toEqual([{ tenants: '2' }]));
    });
    await driver.close();
  });
});

describe("an engine's error", () => {
  it.each(['08006', '53100', '57P01', '58030', 'XX000', '25006'])(
    '%s says that the ledger is away',
    (state) => {
      expect(engineError('message', state)).toBeInstanceOf(Fault);
      expect(engineError('message', state)).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    },
  );

  it.each(['08P01', '22000', '22003', '23505', '40001', '40P01', '42601'])(
    '%s says that the statement is refused',
    (state) => {
      expect(engineError('message', state)).toBeInstanceOf(SqlError);
    },
  );
});
