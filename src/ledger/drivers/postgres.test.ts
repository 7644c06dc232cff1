import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  administer,
  type PostgresService,
  startPostgres,
  type TestDatabase,
} from '../../../test/support/services/postgres.ts';
import { newDatabase } from '../../../test/support/template.ts';
import { describeLedger } from '../ledger.contract.ts';
import { describeDriver } from './driver.contract.ts';
import type { Driver } from './driver.ts';
import { openPostgres, type PostgresOptions } from './postgres.ts';

async function openOwn(options: Partial<PostgresOptions> = {}): Promise<Driver & { readonly url: string }> {
  const database = await newDatabase();
  const driver = await openPostgres({ url: database.url, ...options });
  return {
    ...driver,
    url: database.url,
    close: async () => {
      await driver.close();
      await database.remove();
    },
  };
}

describeDriver('Postgres', openOwn);
describeLedger('Postgres', openOwn);

const one = [{ one: 1 }];
const ask = (driver: Driver) => driver.query('SELECT 1 AS one', []);
const away = { name: 'Fault', code: 'LEDGER_UNAVAILABLE' };

/** How a promise ends, and after how long. */
async function timed(promise: Promise<unknown>): Promise<{ readonly ms: number; readonly error: unknown }> {
  const startedAtMs = performance.now();
  const error = await promise.then(
    () => null,
    (thrown) => thrown,
  );
  return { ms: performance.now() - startedAtMs, error };
}

describe('connections to Postgres', () => {
  let driver: Awaited<ReturnType<typeof openOwn>>;

  beforeEach(async () => {
    driver = await openOwn({ lanes: 2, statementTimeoutMs: 1_000 });
  });
  afterEach(() => driver.close());

  it('are bounded in number, however much is asked at once', async () => {
    const slow = Array.from({ length: 60 }, () => driver.query('SELECT pg_sleep(0.02)', []));
    const counted = await driver.query<{ count: string }>(
      'SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()',
      [],
    );
    await Promise.all(slow);
    expect(Number(counted[0]?.count)).toBeLessThanOrEqual(8);
  });

  it('commit durably whatever the role has as its default, and keep a stricter choice', async () => {
    const settingOf = async (chosen: string) => {
      await administer(
        driver.url,
        `ALTER DATABASE ${new URL(driver.url).pathname.slice(1)} SET synchronous_commit = ${chosen}`,
      );
      const other = await openPostgres({ url: driver.url });
      const [row] = await other.query<{ setting: string }>(
        `SELECT current_setting('synchronous_commit') AS setting`,
        [],
      );
      await other.close();
      return row?.setting;
    };
    expect(await settingOf('off')).toBe('on');
    expect(await settingOf('remote_apply')).toBe('remote_apply');
  });

  it('give up a statement that takes too long, which then changes nothing', async () => {
    const statement = `INSERT INTO tenant SELECT 'slow', 'x', now() FROM pg_sleep(3)`;
    const { ms, error } = await timed(driver.query(statement, []));
    expect(error).toMatchObject(away);
    expect(ms).toBeLessThan(2_500);
    await sleep(2_500);
    expect(await driver.query(`SELECT FROM tenant WHERE tenant_id = 'slow'`, [])).toEqual([]);
  });

  it('wait for a slow statement as long as the server is there', async () => {
    const patient = await openPostgres({ url: driver.url });
    expect(await patient.query('SELECT 1 AS one FROM pg_sleep(1.2)', [])).toEqual(one);
    await patient.close();
  });

  it('survive that an operator ends them, busy or idle', async () => {
    await Promise.all(Array.from({ length: 5 }, () => ask(driver)));
    const busy = timed(driver.query('SELECT pg_sleep(0.9)', []));
    const inTransaction = timed(
      driver.db.transaction().execute(async (trx) => {
        await trx.insertInto('tenant').values({ tenant_id: 'lost', name: 'x' }).execute();
        await sleep(500);
        await trx.insertInto('tenant').values({ tenant_id: 'lost too', name: 'x' }).execute();
      }),
    );
    await sleep(200);
    await administer(
      driver.url,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    expect((await busy).error).toMatchObject(away);
    expect((await inTransaction).error).toMatchObject(away);
    expect(await ask(driver)).toEqual(one);
    expect(await driver.query(`SELECT FROM tenant WHERE tenant_id LIKE 'lost%'`, [])).toEqual([]);
  });

  it('go on with statements that they have prepared when another process adds a column', async () => {
    const all = () => Promise.all(Array.from({ length: 8 }, () => driver.query('SELECT * FROM tenant', [])));
    await driver.query(`INSERT INTO tenant (tenant_id, name) VALUES ('t', 'x')`, []);
    await all();
    await administer(driver.url, 'ALTER TABLE tenant ADD COLUMN later int DEFAULT 7');
    for (const rows of await all()) expect(rows).toMatchObject([{ tenant_id: 't', later: 7 }]);
    for (const rows of await all()) expect(rows).toMatchObject([{ tenant_id: 't', later: 7 }]);
  });

  it('go on where a pooler has forgotten what was prepared', async () => {
    await ask(driver);
    await driver.query('DEALLOCATE ALL', []);
    expect(await ask(driver)).toEqual(one);
  });

  it('prepare a statement once a connection, under a name of its text', async () => {
    for (let time = 0; time < 3; time++) await ask(driver);
    const prepared = await driver.query<{ name: string }>(
      `SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT 1 AS one'`,
      [],
    );
    expect(prepared).toEqual([{ name: expect.stringMatching(/^tollgate_[0-9a-f]{24}$/) }]);
  });
});

describe('a Postgres that goes away', () => {
  let server: PostgresService;
  let driver: Driver;

  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    driver = await openPostgres({ url: server.url });
  });
  afterEach(() => driver.close());

  it('is LEDGER_UNAVAILABLE at once for what runs and for what comes, and works again when it is back', async () => {
    const running = timed(driver.query('SELECT pg_sleep(4)', []));
    await Promise.all(Array.from({ length: 4 }, () => ask(driver)));
    await server.crash();
    expect((await running).error).toMatchObject(away);
    for (let time = 0; time < 3; time++) {
      const { ms, error } = await timed(ask(driver));
      expect(error).toMatchObject(away);
      expect(ms).toBeLessThan(500);
    }
    expect((await timed(driver.db.selectFrom('tenant').selectAll().execute())).error).toMatchObject(away);
    expect(driver.alive).toBe(true);
    await server.restart();
    expect(await ask(driver)).toEqual(one);
  });

  it('is LEDGER_UNAVAILABLE within a second when it is frozen, and works again when it goes on', async () => {
    await Promise.all(Array.from({ length: 4 }, () => ask(driver)));
    await server.freeze();
    const asked = await Promise.all(Array.from({ length: 30 }, () => timed(ask(driver))));
    for (const { ms, error } of asked) {
      expect(error).toMatchObject(away);
      expect(ms).toBeLessThan(1_500);
    }
    const next = await timed(ask(driver));
    expect(next.error).toMatchObject(away);
    expect(next.ms).toBeLessThan(500);
    await server.thaw();
    await sleep(300);
    expect(await ask(driver)).toEqual(one);
  });

  it('is LEDGER_UNAVAILABLE once the driver is closed', async () => {
    await driver.close();
    expect(driver.alive).toBe(false);
    await expect(ask(driver)).rejects.toMatchObject(away);
  });
});

describe('a Postgres that can not be the ledger', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await newDatabase();
  });
  afterAll(() => database.remove());

  const changed = (change: (url: URL) => void) => {
    const url = new URL(database.url);
    url.password = 'planted';
    change(url);
    return url.href;
  };

  it.each([
    ['is not there', (url: URL) => (url.port = '1'), /127\.0\.0\.1:1\/test_.* can't be used.*ECONNREFUSED/],
    ['has no such database', (url: URL) => (url.pathname = '/none'), /"none" does not exist/],
    ['has no such role', (url: URL) => (url.username = 'nobody'), /"nobody" does not exist/],
    ['has no such host', (url: URL) => (url.host = 'nowhere.invalid'), /nowhere\.invalid/],
  ])('%s: that is said in one line, without the password', async (_, change, message) => {
    const { error } = await timed(openPostgres({ url: changed(change) }));
    expect(error).toMatchObject({ ...away, message: expect.stringMatching(message) });
    // Whoever starts it is shown the message alone where there is no cause.
    expect((error as Error).cause).toBeUndefined();
    expect(String(error)).not.toContain('planted');
  });
});
