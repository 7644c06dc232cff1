import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../../../test/support/services/postgres.ts';
import { newEmptyDatabase } from '../../../test/support/template.ts';
import type { Driver } from '../drivers/driver.ts';
import { openPostgres } from '../drivers/postgres.ts';
import { prepare } from './0011-keys.ts';
import { lockTables } from './lock-tables.ts';
import { migrate } from './migrations.ts';

const before = '0010-room-in-pages';

const filling = `
  INSERT INTO tenant (tenant_id, name) SELECT name, 'x' FROM unnest('{a,A,b,B,ä}'::text[]) name;
  INSERT INTO tenant_quota (tenant_id, currency, time_zone) SELECT tenant_id, 'USD', 'UTC' FROM tenant;
  INSERT INTO api_key (tenant_id, id, name, secret_hash, prefix) SELECT tenant_id, 'key', 'x', tenant_id, 'p' FROM tenant;
  INSERT INTO billing_transaction
    (tenant_id, id, trace_id, type, status, currency, request_hash, expires_at, owner, hold_amount)
  SELECT tenant_id, gen_random_uuid(), 'trace-' || i, 'CHARGE', CASE i % 2 WHEN 0 THEN 'PENDING' ELSE 'VOIDED' END,
    'USD', 'h', now(), 'o', 1
  FROM tenant, generate_series(1, 20) i;
  INSERT INTO usage_record (tenant_id, transaction_id, outcome, stream, latency_ms)
  SELECT tenant_id, id, 'completed', false, 1 FROM billing_transaction WHERE status = 'VOIDED'`;

const everything = `
  SELECT b.*, u.outcome FROM billing_transaction b LEFT JOIN usage_record u ON u.transaction_id = b.id
  ORDER BY b.id`;

/** Indexes of text that don't compare it by its bytes. */
const byLanguage = `
  SELECT i.indexrelid::regclass::text AS name
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
  CROSS JOIN unnest(i.indcollation) AS k (collation_id)
  JOIN pg_collation o ON o.oid = k.collation_id
  WHERE c.relname !~ '^kysely' AND o.collname <> 'C'`;

const filesOf = (names: readonly string[]) =>
  `SELECT pg_relation_filenode(name::regclass) AS file FROM unnest('{${names}}'::text[]) name`;

const ofAllRows = ['billing_transaction_seq_of_all', 'billing_transaction_status'];
const prepared = ['billing_transaction_key', 'billing_transaction_trace', 'usage_record_key', ...ofAllRows];
const constraints = [
  'billing_transaction_pkey',
  'billing_transaction_trace_id_tenant_id_key',
  'usage_record_pkey',
];

describe('the keys of a ledger that there was before', () => {
  let database: TestDatabase;
  let driver: Driver;
  const ask = (text: string) => driver.query<Record<string, unknown>>(text, []);
  const prepareAlone = () => driver.db.connection().execute((own) => prepare(own));

  /** Somebody else, in a transaction that reads. */
  const begin = async (statements: string): Promise<Client> => {
    const reader = new Client({ connectionString: database.url });
    reader.on('error', () => undefined);
    await reader.connect();
    await reader.query(statements);
    return reader;
  };

  beforeEach(async () => {
    database = await newEmptyDatabase();
    driver = await openPostgres({ url: database.url, lanes: 1, statementTimeoutMs: null });
    await migrate(driver.db, before);
    for (const statement of filling.split(';')) await ask(statement);
  });
  afterEach(async () => {
    await driver.close();
    await database.remove();
  });

  it('compare text by its bytes, and all rows are as they were', async () => {
    const rows = await ask(everything);
    expect(rows).toHaveLength(100);
    expect(await ask(byLanguage)).not.toEqual([]);
    await migrate(driver.db);
    expect(await ask(byLanguage)).toEqual([]);
    expect(await ask(everything)).toEqual(rows);
    expect(await ask('SELECT tenant_id FROM tenant ORDER BY tenant_id')).toEqual(
      ['A', 'B', 'a', 'b', 'ä'].map((tenant_id) => ({ tenant_id })),
    );
  });

  it('stay unique, and history stays as it is', async () => {
    await migrate(driver.db);
    const [{ id }] = (await ask(
      `SELECT id FROM billing_transaction WHERE tenant_id = 'A' AND trace_id = 'trace-1'`,
    )) as [{ id: string }];
    const insert = (tenant: string, transaction: string, trace: string) =>
      ask(`INSERT INTO billing_transaction (tenant_id, id, trace_id, type, status, currency, request_hash)
        VALUES ('${tenant}', ${transaction}, '${trace}', 'CHARGE', 'VOIDED', 'USD', 'h')`);
    await expect(insert('A', 'gen_random_uuid()', 'trace-1')).rejects.toMatchObject({ sqlState: '23505' });
    await expect(insert('A', `'${id}'`, 'another')).rejects.toMatchObject({ sqlState: '23505' });
    await insert('A', 'gen_random_uuid()', 'Trace-1');
    await expect(
      ask(`INSERT INTO usage_record (tenant_id, transaction_id, outcome, stream, latency_ms)
        VALUES ('A', '${id}', 'completed', false, 1)`),
    ).rejects.toMatchObject({ sqlState: '23505' });
    await expect(ask(`UPDATE tenant SET tenant_id = 'c' WHERE tenant_id = 'a'`)).rejects.toThrow(
      /can't become another/,
    );
  });

  it('are built before anybody is locked out, and only change their names then', async () => {
    await prepareAlone();
    const files = await ask(filesOf(prepared));
    await migrate(driver.db, '0011-keys');
    expect(await ask(filesOf([...constraints, ...ofAllRows]))).toEqual(files);
  });

  it('are built once, and anew where that was ended', async () => {
    await prepareAlone();
    const [first, ...others] = await ask(filesOf(prepared));
    // As a build leaves it that its server has ended.
    await ask(
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'billing_transaction_key'::regclass`,
    );
    await prepareAlone();
    const [again, ...kept] = await ask(filesOf(prepared));
    expect(again).not.toEqual(first);
    expect(kept).toEqual(others);
    await migrate(driver.db);
    expect(await ask(byLanguage)).toEqual([]);
  });

  it('are built while others write, and wait for a reader without anybody waiting for them', async () => {
    // As a dump does.
    const reader = await begin('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM billing_transaction');
    let built = false;
    const building = prepareAlone().then(() => {
      built = true;
    });
    const waiting = `SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND query ~ '^\\s*CREATE.*CONCURRENTLY' AND wait_event_type = 'Lock'`;
    await expect.poll(() => ask(waiting), { timeout: 10_000 }).toHaveLength(1);
    await ask(`INSERT INTO billing_transaction (tenant_id, id, trace_id, type, status, currency, request_hash)
      VALUES ('a', gen_random_uuid(), 'meanwhile', 'CHARGE', 'VOIDED', 'USD', 'h')`);
    expect(built).toBe(false);
    await reader.query('COMMIT');
    await building;
    await reader.end();
    await migrate(driver.db);
    expect(
      await ask(`SELECT tenant_id FROM billing_transaction WHERE tenant_id = 'a' AND trace_id = 'meanwhile'`),
    ).toHaveLength(1);
  });

  it.each([
    [
      'a view',
      'CREATE VIEW daily AS SELECT tenant_id, amount FROM billing_transaction',
      'view daily',
      'VIEW daily',
    ],
    [
      'a trigger',
      `CREATE TRIGGER own BEFORE UPDATE OF trace_id ON billing_transaction
        FOR EACH ROW EXECUTE FUNCTION refuse_any_change()`,
      'trigger own on table billing_transaction',
      'TRIGGER own ON billing_transaction',
    ],
  ])('are not begun while %s of somebody else is in the way', async (_, create, named, dropped) => {
    await ask(create);
    await expect(migrate(driver.db)).rejects.toThrow(named);
    const built = `SELECT FROM pg_class WHERE relname = ANY ('{${prepared}}')`;
    expect(await ask(built)).toEqual([]);
    await ask(`DROP ${dropped}`);
    await migrate(driver.db);
    expect(await ask(byLanguage)).toEqual([]);
  });

  it('say of which there are several rows, where the index of before has gone wrong', async () => {
    await ask('ALTER TABLE billing_transaction DROP CONSTRAINT billing_transaction_tenant_id_trace_id_key');
    await ask(`INSERT INTO billing_transaction (tenant_id, id, trace_id, type, status, currency, request_hash)
      VALUES ('a', gen_random_uuid(), 'trace-7', 'CHARGE', 'VOIDED', 'USD', 'h')`);
    await expect(migrate(driver.db)).rejects.toThrow('the same (trace_id, tenant_id)');
    await expect(migrate(driver.db)).rejects.toThrow('(trace-7,a)');
  });

  it('wait for a reader while everybody else goes on', async () => {
    await prepareAlone();
    const reader = await begin('BEGIN; SELECT FROM job_run');
    let isDone = false;
    const migrating = migrate(driver.db).then(() => {
      isDone = true;
    });
    const waiting = `SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
      WHERE l.relation = 'job_run'::regclass AND l.mode = 'AccessExclusiveLock' AND NOT l.granted`;
    await expect.poll(() => ask(waiting), { timeout: 10_000, interval: 10 }).toHaveLength(1);
    const gateway = new Client({ connectionString: database.url, options: '-c lock_timeout=2s' });
    await gateway.connect();
    for (let second = 0; second < 3; second++) {
      await gateway.query(`UPDATE tenant_quota SET daily_used = daily_used + 1 WHERE tenant_id = 'a'`);
      await gateway.query('SELECT pg_sleep(0.5)');
    }
    await gateway.end();
    expect(isDone).toBe(false);
    await reader.query('COMMIT');
    await reader.end();
    await migrating;
    expect(await ask(byLanguage)).toEqual([]);
  });

  it('give up where they find no moment, and say what is in the way', async () => {
    const reader = await begin('BEGIN; SELECT FROM job_run');
    const locking = driver.db
      .transaction()
      .execute((trx) => lockTables(trx, ['tenant', 'job_run', 'model'], 1));
    await expect(locking).rejects.toThrow(/^job_run is read or locked/);
    await reader.end();
  });

  it('are prepared by one of several processes, for which the others wait', async () => {
    const others = await Promise.all(
      [1, 2, 3].map(() => openPostgres({ url: database.url, lanes: 1, statementTimeoutMs: null })),
    );
    await Promise.all([driver, ...others].map(({ db }) => migrate(db)));
    for (const other of others) await other.close();
    expect(
      await ask(`SELECT indexrelid::regclass::text AS name FROM pg_index
        WHERE indrelid IN ('billing_transaction'::regclass, 'usage_record'::regclass) ORDER BY 1`),
    ).toEqual(
      [...constraints, 'billing_transaction_id', 'billing_transaction_open', 'billing_transaction_seq']
        .sort()
        .map((name) => ({ name })),
    );
  });
});
