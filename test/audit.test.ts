import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CompiledQuery } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId, TraceId, TransactionId } from '../src/domain/ids.ts';
import { nano } from '../src/domain/money.ts';
import type { HotState } from '../src/hot-state/hot-state.ts';
import { connectRedis, type RedisClient } from '../src/hot-state/redis/connect.ts';
import { createRedisHotState } from '../src/hot-state/redis/redis.ts';
import { loadScripts } from '../src/hot-state/redis/scripts.ts';
import { openDriver } from '../src/ledger/drivers/open-driver.ts';
import { createSqlUpkeep } from '../src/ledger/sql-upkeep.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import { plainKey } from './support/hot-state.ts';
import type { TestDatabase } from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';
import { newDatabase, newDataDir, newEmptyDatabase, type TestDataDir } from './support/template.ts';

const entry = fileURLToPath(new URL('../bin/tollgate.js', import.meta.url));

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator.close());

/** The command as a user runs it. */
async function audit(env: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const { PATH = '', HOME = '' } = process.env;
  const options = { env: { PATH, HOME, ...env } };
  return await promisify(execFile)(process.execPath, [entry, 'audit', ...args], options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

async function charged(gateway: TestGateway): Promise<TestTenant> {
  const tenant = await addTenant(gateway, { balance: '5' });
  await addModel(gateway, 'sea', {
    baseUrl: simulator.url,
    upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=0&tokens=20',
  });
  const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
  for (const stream of [false, true]) {
    const request = { model: 'sea', messages, stream };
    const headers = { authorization: `Bearer ${tenant.apiKey}` };
    expect((await gateway.call('/v1/chat/completions', request, headers)).status).toBe(200);
  }
  await settledTransactionsOf(gateway, tenant.id);
  return tenant;
}

describe('tollgate audit of an embedded ledger', () => {
  let dataDir: TestDataDir;
  let tenant: TestTenant;

  beforeAll(async () => {
    dataDir = await newDataDir();
    const gateway = await startGateway({ dataDir: dataDir.path });
    tenant = await charged(gateway);
    const beside = await audit({ DATA_DIR: dataDir.path });
    expect(beside).toMatchObject({ code: 2, stdout: '' });
    expect(beside.stderr).toMatch(/is in use by another Tollgate process: stop that one/);
    await gateway.stop();
  });
  afterAll(() => dataDir.remove());

  it('finds nothing in what a gateway wrote, and ends with 0', async () => {
    const { code, stdout, stderr } = await audit({ DATA_DIR: dataDir.path });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toBe('Ledger: 1 tenant, 3 transactions, 2 receipts: no difference\n');
  });

  it('names what differs, and ends with 1', async () => {
    const driver = await openDriver({ databaseUrl: null, dataDir: dataDir.path });
    await driver.query('UPDATE tenant_quota SET balance = 7', []);
    await driver.close();
    const { code, stdout } = await audit({ DATA_DIR: dataDir.path }, ['--tenant', tenant.id]);
    expect(code).toBe(1);
    const [line, summary] = stdout.split('\n');
    expect(line).toMatch(new RegExp(`^${tenant.id}: balance is 7\\.0{9}, should be 4\\.\\d{9}$`));
    expect(summary).toBe('Ledger: 1 tenant, 3 transactions, 2 receipts: 1 difference');
  });

  it('ends with 2 where it can not audit, and says why', async () => {
    const nobody = await audit({ DATA_DIR: dataDir.path }, ['--tenant', 'nobody']);
    expect(nobody).toMatchObject({ code: 2, stderr: 'There is no tenant "nobody".\n' });
    const wrong = await audit({ DATA_DIR: dataDir.path }, ['--tenants', 'all']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('Usage: tollgate audit [--tenant ID]');
    const nowhere = await mkdtemp(join(tmpdir(), 'tollgate-nowhere-'));
    const none = await audit({ DATA_DIR: join(nowhere, 'none') });
    await rm(nowhere, { recursive: true });
    expect(none.code).toBe(2);
    expect(none.stderr).toMatch(/^There is no ledger in .*none: set DATA_DIR or DATABASE_URL/);
    expect((await audit({ DATABASE_URL: 'nonsense' })).code).toBe(2);
  });
});

describe('tollgate audit beside a gateway on Postgres and Redis', () => {
  let database: TestDatabase;
  let redis: RedisServer;
  let gateway: TestGateway;
  let tenant: TestTenant;
  let client: RedisClient;
  let hotState: HotState;
  const env = () => ({ DATABASE_URL: database.url, REDIS_URL: redis.url });

  beforeAll(async () => {
    [database, redis] = await Promise.all([newDatabase(), startRedis()]);
    gateway = await startGateway({ env: env() });
    tenant = await charged(gateway);
    client = await connectRedis({
      address: { kind: 'single', url: redis.url },
      onError: () => undefined,
    });
    hotState = createRedisHotState({ run: await loadScripts(client), onFault: () => undefined });
  });
  afterAll(async () => {
    client.disconnect();
    await gateway.stop();
    await redis.stop();
    await database.remove();
  });

  const clean =
    'Ledger: 1 tenant, 3 transactions, 2 receipts: no difference\nHot state: 1 tenant: no difference\n';

  /** The gateway's own comparisons pass over the tenant for now. */
  async function leaveAlone(): Promise<void> {
    const driver = await openDriver({ databaseUrl: database.url, dataDir: '' });
    await createSqlUpkeep(driver.db).claimRun('reconcile_all', 0);
    await driver.query(`UPDATE tenant_quota SET updated_at = now() - interval '1 hour'`, []);
    await driver.close();
  }

  it('compares hot state too, and repairs nothing; the admin’s call does', async () => {
    await leaveAlone();
    expect(await audit(env())).toEqual({ code: 0, stdout: clean, stderr: '' });
    const confirmation = {
      ...plainKey,
      tenantId: tenant.id as TenantId,
      traceId: 'ghost' as TraceId,
      holder: 'ghost' as TransactionId,
      holdAmount: nano(2_000_000_000n),
      periodDay: '2026-11-23',
    };
    expect(await hotState.confirm(confirmation)).toEqual({ kind: 'confirmed' });
    for (let count = 0; count < 2; count++) {
      const { code, stdout } = await audit(env());
      expect(code).toBe(1);
      expect(stdout).toContain(`${tenant.id}: transaction ghost: 2 is held, and it is not open\n`);
      expect(stdout).toContain('Hot state: 1 tenant: 1 tenant that differ\n');
    }
    const repaired = await gateway.admin('POST', '/reconcile', { tenant_id: tenant.id });
    expect(repaired).toMatchObject({ checked: 1, differing: 1, repaired: 1, amount: '2' });
    expect(await gateway.admin('POST', '/reconcile')).toMatchObject({
      checked: 1,
      differing: 0,
      repaired: 0,
    });
    expect(await audit(env())).toEqual({ code: 0, stdout: clean, stderr: '' });
  });

  it('audits a ledger whose Redis is away, and says that it could not compare', async () => {
    const { code, stdout, stderr } = await audit({ ...env(), REDIS_URL: 'redis://127.0.0.1:1' });
    expect(code).toBe(2);
    expect(stdout).toBe('Ledger: 1 tenant, 3 transactions, 2 receipts: no difference\n');
    expect(stderr).toMatch(/^Hot state could not be compared\. Redis/);
  });

  it('refuses a ledger that can not be reached, or is of another version', async () => {
    const away = await audit({ DATABASE_URL: 'postgres://someone:planted@127.0.0.1:1/ledger' });
    expect(away.code).toBe(2);
    expect(away.stderr).toMatch(/^Postgres at 127\.0\.0\.1:1\/ledger can't be used as the ledger/);
    expect(away.stderr).not.toContain('planted');
    const empty = await newEmptyDatabase();
    const older = await audit({ DATABASE_URL: empty.url });
    await empty.remove();
    expect(older.code).toBe(2);
    expect(older.stderr).toMatch(/^The ledger's schema is none, and this version of Tollgate audits \d{4}-/);
  });

  it('names a row that was changed behind the triggers', async () => {
    const driver = await openDriver({ databaseUrl: database.url, dataDir: '' });
    const [charge] = await driver.query<{ id: string }>(
      `SELECT id FROM billing_transaction WHERE type = 'CHARGE' ORDER BY seq LIMIT 1`,
      [],
    );
    await driver.db.transaction().execute(async (trx) => {
      await trx.executeQuery(CompiledQuery.raw('SET LOCAL session_replication_role = replica'));
      const spoil = `UPDATE billing_transaction SET multiplier_ppm = 3000000 WHERE id = '${charge!.id}'`;
      await trx.executeQuery(CompiledQuery.raw(spoil));
    });
    const { code, stdout } = await audit(env());
    expect(code).toBe(1);
    expect(stdout).toMatch(
      new RegExp(`^${tenant.id}, transaction ${charge!.id}: amount by its receipt is \\S+, should be \\S+\n`),
    );
    await driver.db.transaction().execute(async (trx) => {
      await trx.executeQuery(CompiledQuery.raw('SET LOCAL session_replication_role = replica'));
      await trx.executeQuery(CompiledQuery.raw('UPDATE billing_transaction SET multiplier_ppm = 1000000'));
    });
    await driver.close();
  });
});
