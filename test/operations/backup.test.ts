import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import type { AnyJson } from '../support/admin-plane.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
  transactionsOf,
} from '../support/gateway.ts';
import { askRedis } from '../support/services/ask-redis.ts';
import { postgresPrograms, programPath } from '../support/services/find-programs.ts';
import { administer } from '../support/services/postgres.ts';
import { startRedis } from '../support/services/redis.ts';
import { waitUntil } from '../support/services/wait-until.ts';
import { newDatabase, newDataDir } from '../support/template.ts';
import { blocksOf, readRunbook } from './runbook.ts';

// Backup and restore as docs/operations.md has them, by its own commands.

const entry = fileURLToPath(new URL('../../bin/tollgate.js', import.meta.url));
const run = promisify(execFile);

let simulator: Simulator;
let folder: string;
beforeAll(async () => {
  simulator = await startSimulator();
  folder = await mkdtemp(join(tmpdir(), 'tollgate-backup-'));
});
afterAll(async () => {
  await simulator.close();
  await rm(folder, { recursive: true, force: true });
});

type Environment = Readonly<Record<string, string>>;

/** The command as a user runs it; it throws where it doesn't end with 0. */
async function audit(env: Environment): Promise<string> {
  const { PATH = '', HOME = '' } = process.env;
  const { stdout } = await run(process.execPath, [entry, 'audit'], { env: { PATH, HOME, ...env } });
  return stdout;
}

/** A block of the runbook that begins with this command. */
async function byTheRunbook(command: string, env: Environment): Promise<void> {
  const block = blocksOf(await readRunbook(), 'sh').find((one) => one.startsWith(command));
  if (block === undefined) throw new Error(`the runbook has no block that begins with ${command}`);
  const programs = dirname(await programPath(postgresPrograms));
  const PATH = `${programs}${delimiter}${process.env.PATH}`;
  await run('sh', ['-e', '-c', block], { cwd: folder, env: { PATH, ...env } });
}

const request = { model: 'sea', messages: [{ role: 'user', content: 'Tell me of the sea.' }] };
const headersOf = ({ apiKey }: TestTenant) => ({ authorization: `Bearer ${apiKey}` });

async function addSea(gateway: TestGateway): Promise<void> {
  const upstreamModel = 'sim?ttfb_ms=0&tokens_per_second=0&tokens=20';
  await addModel(gateway, 'sea', { baseUrl: simulator.url, upstreamModel });
}

async function charge(gateway: TestGateway, tenant: TestTenant, times: number): Promise<void> {
  for (let count = 0; count < times; count++) {
    const answer = await gateway.call(
      '/v1/chat/completions',
      { ...request, stream: count % 2 === 1 },
      headersOf(tenant),
    );
    expect(answer.status).toBe(200);
  }
}

async function query(databaseUrl: string, statement: string): Promise<readonly AnyJson[]> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

/** What can't change any more, as the ledger has it. */
const closedRows = (databaseUrl: string) =>
  query(
    databaseUrl,
    `SELECT to_jsonb(b) AS row FROM billing_transaction b WHERE status <> 'PENDING' ORDER BY tenant_id, id`,
  );

const openWithCheckpoint = `
  SELECT id FROM billing_transaction WHERE status = 'PENDING' AND checkpoint IS NOT NULL`;

it('a dump of a ledger at work, restored into a new database, is the ledger of that moment, and is gone on with', async () => {
  await using undo = new AsyncDisposableStack();
  const [database, redis] = await Promise.all([newDatabase(), startRedis()]);
  undo.defer(() => redis.stop());
  undo.defer(() => database.remove());
  const gateway = await startGateway({ env: { DATABASE_URL: database.url, REDIS_URL: redis.url } });
  undo.defer(() => gateway.kill());
  await addSea(gateway);
  const endless = 'sim?ttfb_ms=0&tokens_per_second=40&tokens=4000';
  await addModel(gateway, 'ocean', { baseUrl: simulator.url, upstreamModel: endless });
  const tenant = await addTenant(gateway, { balance: '5' });
  await charge(gateway, tenant, 4);
  await gateway.admin('POST', `/tenants/${tenant.id}/top-ups`, { amount: '7' });
  const [refunded] = (await settledTransactionsOf(gateway, tenant.id)).filter(
    ({ type }) => type === 'CHARGE',
  );
  await gateway.admin('POST', `/transactions/${refunded.id}/reverse`, { description: 'a gift' });
  const open = gateway.call(
    '/v1/chat/completions',
    { ...request, model: 'ocean', stream: true },
    headersOf(tenant),
  );
  open.catch(() => undefined);
  await waitUntil({
    what: 'the stream has a checkpoint',
    isSo: async () => (await query(database.url, openWithCheckpoint)).length > 0,
    withinMs: 20_000,
    everyMs: 200,
  });
  const dumped = await closedRows(database.url);
  await byTheRunbook('pg_dump', { DATABASE_URL: database.url });
  await charge(gateway, tenant, 2);
  await gateway.kill();

  const serverUrl = inject('postgresUrl');
  const restored = new URL(serverUrl);
  restored.pathname = '/tollgate_restored';
  undo.defer(() => administer(serverUrl, 'DROP DATABASE IF EXISTS tollgate_restored WITH (FORCE)'));
  await byTheRunbook('createdb', { SERVER_URL: serverUrl, RESTORED_URL: restored.href });
  const env = { DATABASE_URL: restored.href, REDIS_URL: redis.url };
  expect(dumped.length).toBe(7);
  expect(await closedRows(restored.href)).toEqual(dumped);
  expect(await audit({ DATABASE_URL: restored.href })).toMatch(
    /^Ledger: 1 tenant, 8 transactions, .*no difference\n$/,
  );

  await askRedis(redis, (client) => client.flushdb());
  const next = await startGateway({ env });
  undo.defer(() => next.kill());
  const settled = await settledTransactionsOf(next, tenant.id);
  const [orphan] = settled.filter(({ model, type }) => model === 'ocean' && type === 'CHARGE');
  expect(orphan).toMatchObject({ status: 'COMMITTED', usage_method: 'tiktoken' });
  expect(orphan.output_tokens).toBeGreaterThan(0);
  await charge(next, tenant, 2);
  await settledTransactionsOf(next, tenant.id);
  await next.stop();
  expect(await audit(env)).toMatch(/10 transactions, .*no difference\nHot state: 1 tenant: no difference\n$/);
});

it('a copy of the embedded ledger, taken while no gateway has it, is the ledger of that moment', async () => {
  await using undo = new AsyncDisposableStack();
  const dataDir = await newDataDir();
  undo.defer(() => dataDir.remove());
  const first = await startGateway({ dataDir: dataDir.path });
  await addSea(first);
  const tenant = await addTenant(first, { balance: '5' });
  await charge(first, tenant, 3);
  const kept = await settledTransactionsOf(first, tenant.id);
  await first.stop();
  const copy = join(folder, 'data.backup');
  await cp(dataDir.path, copy, { recursive: true, preserveTimestamps: true });

  const later = await startGateway({ dataDir: dataDir.path });
  await charge(later, tenant, 2);
  await later.stop();
  expect(await audit({ DATA_DIR: copy })).toMatch(/^Ledger: 1 tenant, 4 transactions, .*no difference\n$/);
  const restored = await startGateway({ dataDir: copy });
  expect(await transactionsOf(restored, tenant.id)).toEqual(kept);
  await charge(restored, tenant, 1);
  await restored.stop();
});
