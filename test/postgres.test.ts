import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgres } from '../src/ledger/drivers/postgres.ts';
import { schemaVersion } from '../src/ledger/migrations/migrations.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import {
  administer,
  createDatabase,
  type PostgresService,
  startPostgres,
} from './support/services/postgres.ts';

const run = promisify(execFile);
const entry = fileURLToPath(new URL('../bin/tollgate.js', import.meta.url));
const messages = [{ role: 'user', content: 'Tell me of the sea.' }];

let server: PostgresService;
let simulator: Simulator;
let gateway: TestGateway;
let tenant: TestTenant;
let databaseUrl: string;

beforeAll(async () => {
  server = await startPostgres();
  databaseUrl = (await createDatabase(server.url)).url;
  simulator = await startSimulator();
  gateway = await startGateway({ env: { DATABASE_URL: databaseUrl } });
  tenant = await addTenant(gateway);
  await addModel(gateway, 'sea', {
    baseUrl: simulator.url,
    upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=0&tokens=200',
  });
});

afterAll(async () => {
  await gateway.stop();
  await simulator.close();
  await server.stop();
});

const ask = (path = '/v1/chat/completions') =>
  gateway.call(path, { model: 'sea', messages }, { authorization: `Bearer ${tenant.apiKey}` });

describe('a gateway on Postgres', () => {
  it('bills a request, and its row is in the database', async () => {
    const answer = await ask();
    expect(answer.status).toBe(200);
    const id = answer.headers.get('x-billing-transaction-id');
    const driver = await openPostgres({ url: databaseUrl });
    const rows = await driver.query(
      'SELECT id, status, amount, balance_after, input_tokens, output_tokens FROM billing_transaction WHERE type = $1',
      ['CHARGE'],
    );
    await driver.close();
    const { prompt_tokens, completion_tokens } = answer.json.usage;
    const amount = (prompt_tokens + completion_tokens * 2) / 1_000_000;
    expect(rows).toEqual([
      {
        id,
        status: 'COMMITTED',
        amount: amount.toFixed(9),
        balance_after: (100 - amount).toFixed(9),
        input_tokens: String(prompt_tokens),
        output_tokens: String(completion_tokens),
      },
    ]);
  });

  it('says in its log and its health that a power loss could take what was charged, as long as it could', async () => {
    const health = async () => {
      const response = await fetch(`${gateway.url}/health`);
      return { http: response.status, ...((await response.json()) as object) };
    };
    const change = async (name: string, value: string) => {
      await administer(server.url, `ALTER SYSTEM SET ${name} = ${value}`);
      await administer(server.url, 'SELECT pg_reload_conf()');
    };
    const degraded = (detail: RegExp) => ({
      http: 200,
      status: 'degraded',
      database: { status: 'degraded', detail: expect.stringMatching(detail) },
    });
    // The tests' own servers don't sync, which is quick.
    expect(gateway.output()).toMatch(/less safe than it should be/);
    expect(await health()).toMatchObject(degraded(/^postgres: fsync is off.* ALTER SYSTEM SET fsync = on/));
    expect((await fetch(`${gateway.url}/health/ready`)).status).toBe(200);

    await change('fsync', 'on');
    await change('full_page_writes', 'off');
    await expect.poll(health, { timeout: 10_000 }).toMatchObject(degraded(/full_page_writes is off/));
    await change('full_page_writes', 'on');
    const well = { http: 200, status: 'healthy', database: { status: 'healthy', detail: 'postgres' } };
    await expect.poll(health, { timeout: 10_000 }).toMatchObject(well);
  });

  it('refuses with 503 within a second while Postgres is away, stays alive, and serves again after', async () => {
    await server.crash();
    const startedAtMs = performance.now();
    const refused = await ask();
    expect(performance.now() - startedAtMs).toBeLessThan(1_000);
    expect(refused.status).toBe(503);
    expect(refused.json.error.code).toBe('LEDGER_UNAVAILABLE');
    // Its health is asked for twice a second at most.
    await sleep(600);
    expect((await fetch(`${gateway.url}/health/live`)).status).toBe(200);
    expect((await fetch(`${gateway.url}/health/ready`)).status).toBe(503);
    await server.restart();
    await sleep(600);
    expect((await fetch(`${gateway.url}/health/ready`)).status).toBe(200);
    expect((await ask()).status).toBe(200);
    const all = await settledTransactionsOf(gateway, tenant.id);
    expect(all.filter(({ type, status }) => type === 'CHARGE' && status === 'COMMITTED')).toHaveLength(2);
  });
});

describe('tollgate migrate', () => {
  const migrate = (url: string) =>
    run(process.execPath, [entry, 'migrate'], { env: { PATH: process.env.PATH ?? '', DATABASE_URL: url } });

  it('brings a database up to date from several processes at once, and ends', async () => {
    const { url } = await createDatabase(server.url);
    const done = await Promise.all([migrate(url), migrate(url), migrate(url)]);
    for (const { stdout } of done)
      expect(stdout).toBe(`The ledger's schema is up to date: ${schemaVersion}\n`);
  });

  it('says in one line why it can not', async () => {
    const failed = await migrate('postgres://someone:planted@127.0.0.1:1/ledger').catch((error) => error);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/^Postgres at 127\.0\.0\.1:1\/ledger can't be used as the ledger: .+\n$/);
    expect(failed.stderr).not.toContain('planted');
  });
});
