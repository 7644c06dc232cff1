import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAmount } from '../src/domain/money.ts';
import { openPglite } from '../src/ledger/drivers/pglite.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import type { AnyJson } from './support/admin-plane.ts';
import { limitFiles } from './support/full-disk.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import { administer, createDatabase, startPostgres } from './support/services/postgres.ts';
import { newDataDir } from './support/template.ts';

// The disk of the ledger takes nothing more: whoever is new is told so, what was acknowledged stays, and with
// room again everything goes on by itself, but for a Postgres that gave up.

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const soon = { timeout: 30_000, interval: 200 };

/** More than a file of the log has: the tables can't grow, and the log can. */
const tablesOnlyBytes = 17 * 1024 * 1024;
/**
 * Rows that closed without a charge, of a tenant that nobody asks for. Three of them fill the half of a page that new
 * rows may have, so that there is no room for another transaction; longer ones would be compressed.
 */
const fill = (rows: number) => `INSERT INTO billing_transaction
    (tenant_id, id, trace_id, type, status, request_hash, currency, period_day, description)
  SELECT 'filler', gen_random_uuid(), gen_random_uuid()::text, 'CHARGE', 'VOIDED', 'x', 'USD', '2026-01-01',
    repeat('x', 1160)
  FROM generate_series(1, ${rows})`;
/** As many as there is room for, to the last page: of what is written in vain, the room would be used again. */
const fillUp = [1000, 100, 10, 1].map(
  (rows) => `DO $$ BEGIN LOOP BEGIN ${fill(rows)}; EXCEPTION WHEN OTHERS THEN EXIT; END; END LOOP; END $$`,
);
const fillersTenant = `INSERT INTO tenant (tenant_id, name) VALUES ('filler', 'filler')`;

let undo: AsyncDisposableStack;
let simulator: Simulator;

beforeEach(async () => {
  undo = new AsyncDisposableStack();
  simulator = await startSimulator();
  undo.defer(() => simulator.close());
});
afterEach(() => undo.disposeAsync());

async function prepare(gateway: TestGateway): Promise<TestTenant> {
  const model = (name: string, directives: string) =>
    addModel(gateway, name, { baseUrl: simulator.url, upstreamModel: `sim?ttfb_ms=0&${directives}` });
  await model('quick', 'tokens_per_second=0&tokens=20');
  await model('running', 'tokens_per_second=20&tokens=80');
  return await addTenant(gateway);
}

const ask = (gateway: TestGateway, tenant: TestTenant, model = 'quick', stream = false) =>
  gateway.call(
    '/v1/chat/completions',
    { model, messages, stream },
    { authorization: `Bearer ${tenant.apiKey}` },
  );

async function serve(gateway: TestGateway, tenant: TestTenant): Promise<string> {
  const { status, headers } = await ask(gateway, tenant);
  expect(status).toBe(200);
  return headers.get('x-billing-transaction-id') ?? '';
}

const healthOf = async (gateway: TestGateway) => {
  const response = await fetch(`${gateway.url}/health`);
  return { http: response.status, ...((await response.json()) as AnyJson) };
};

async function expectRefused(gateway: TestGateway, tenant: TestTenant): Promise<readonly []> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const refused = await ask(gateway, tenant);
    expect(refused).toMatchObject({ status: 503, json: { error: { code: 'LEDGER_UNAVAILABLE' } } });
    await sleep(300);
  }
  expect((await fetch(`${gateway.url}/health/live`)).status).toBe(200);
  return [];
}

/** All of these are charged, nothing else is, and the balance is what is left. */
async function expectCharged(gateway: TestGateway, tenant: TestTenant, ids: readonly string[]) {
  const all = await settledTransactionsOf(gateway, tenant.id);
  const charges = all.filter(({ type, status }) => type === 'CHARGE' && status === 'COMMITTED');
  expect(charges.map(({ id }) => id).sort()).toEqual([...ids].sort());
  const spent = charges.reduce((sum, { amount }) => sum + parseAmount(amount), 0n);
  const { quota } = await gateway.admin('GET', `/tenants/${tenant.id}`);
  expect(parseAmount(quota.balance)).toBe(parseAmount('100') - spent);
  expect(quota.held).toBe('0');
}

interface Full {
  readonly gateway: TestGateway;
  readonly tenant: TestTenant;
  refuse(): Promise<void>;
  allow(): Promise<void>;
  /** Asks while it is full. @returns the transactions of those that were served all the same */
  askMeanwhile(): Promise<readonly string[]>;
  /** What its health says then. */
  readonly health: AnyJson;
}

/** What is acknowledged before, what runs meanwhile, and what is asked after: all of it is charged, once. */
async function expectToDegrade({ gateway, tenant, ...full }: Full): Promise<void> {
  const acknowledged = [await serve(gateway, tenant), await serve(gateway, tenant)];
  const running = [ask(gateway, tenant, 'running', true), ask(gateway, tenant, 'running', true)];
  await expect.poll(() => simulator.requests.open, soon).toBe(2);
  await full.refuse();
  acknowledged.push(...(await full.askMeanwhile()));
  expect(await healthOf(gateway)).toMatchObject(full.health);
  await full.allow();
  for (const { text, headers } of await Promise.all(running)) {
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    acknowledged.push(headers.get('x-billing-transaction-id') ?? '');
  }
  await expect.poll(async () => (await healthOf(gateway)).http, soon).toBe(200);
  // Charges that the ledger could not take come first.
  const again = async () => {
    const answer = await ask(gateway, tenant);
    if (answer.status === 200) acknowledged.push(answer.headers.get('x-billing-transaction-id') ?? '');
    return answer.status;
  };
  await expect.poll(again, soon).toBe(200);
  await expectCharged(gateway, tenant, acknowledged);
}

/**
 * The pages that are there have room for some, and less for their charges: the answer waits for its charge and is
 * delivered without, and nobody is served on after that.
 */
async function askUntilRefused(gateway: TestGateway, tenant: TestTenant): Promise<readonly string[]> {
  const served: string[] = [];
  for (let round = 0; round < 30; round++) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(gateway, tenant)));
    const refused = answers.filter(({ status }) => status !== 200);
    for (const { headers, status } of answers) {
      if (status === 200) served.push(headers.get('x-billing-transaction-id') ?? '');
    }
    for (const { status, json } of refused) {
      expect({ status, code: json.error.code }).toEqual({ status: 503, code: 'LEDGER_UNAVAILABLE' });
    }
    if (refused.length > 0) return served;
  }
  throw new Error('nothing was ever refused');
}

const couldNotGrow = {
  http: 200,
  database: {
    status: 'degraded',
    detail: expect.stringMatching(/could not write: .*extend.*File too large/),
  },
};
const isFull = /File too large|can't be opened/;

describe('the embedded ledger on a full disk', () => {
  async function open(dataDir: string) {
    const gateway = await startGateway({ dataDir, redoReceipts: false });
    undo.defer(() => gateway.stop());
    const limit = (bytes: number | 'unlimited') => limitFiles([gateway.process.pid!], bytes);
    return { gateway, limit };
  }

  async function newDir(): Promise<string> {
    const dataDir = await newDataDir();
    undo.defer(() => dataDir.remove());
    return dataDir.path;
  }

  it('that takes not even its log refuses who is new, says so, and is opened again when there is room', async () => {
    const { gateway, limit } = await open(await newDir());
    const tenant = await prepare(gateway);
    await expectToDegrade({
      gateway,
      tenant,
      refuse: () => limit(0),
      allow: () => limit('unlimited'),
      askMeanwhile: () => expectRefused(gateway, tenant),
      health: { http: 503, database: { status: 'unhealthy', detail: expect.stringMatching(isFull) } },
    });
  });

  it('whose tables can not grow refuses who is new, says so, and goes on when there is room', async () => {
    const path = await newDir();
    const driver = await openPglite(path);
    await driver.query(fillersTenant, []);
    await driver.query(fill(12_000), []);
    await driver.close();
    const { gateway, limit } = await open(path);
    const tenant = await prepare(gateway);
    await expectToDegrade({
      gateway,
      tenant,
      refuse: () => limit(tablesOnlyBytes),
      allow: () => limit('unlimited'),
      askMeanwhile: () => askUntilRefused(gateway, tenant),
      health: couldNotGrow,
    });
  });

  it('keeps what was acknowledged though the gateway is killed meanwhile', async () => {
    const path = await newDir();
    const first = await open(path);
    const tenant = await prepare(first.gateway);
    const acknowledged = [await serve(first.gateway, tenant), await serve(first.gateway, tenant)];
    await first.limit(0);
    await expectRefused(first.gateway, tenant);
    await first.gateway.kill();
    const { gateway } = await open(path);
    await expectCharged(gateway, tenant, acknowledged);
    acknowledged.push(await serve(gateway, tenant));
    await expectCharged(gateway, tenant, acknowledged);
  });
});

describe('Postgres on a full disk', () => {
  async function open() {
    const postgres = await startPostgres(['autovacuum=off']);
    undo.defer(() => postgres.stop());
    const { url } = await createDatabase(postgres.url);
    const gateway = await startGateway({ env: { DATABASE_URL: url }, redoReceipts: false });
    undo.defer(() => gateway.stop());
    const limit = async (bytes: number | 'unlimited') => limitFiles(await postgres.processes(), bytes);
    return { postgres, url, gateway, limit };
  }

  it('that takes not even its log ends: who is new is refused, and all is there when it is started again', async () => {
    const { postgres, gateway, limit } = await open();
    const tenant = await prepare(gateway);
    await expectToDegrade({
      gateway,
      tenant,
      refuse: () => limit(0),
      allow: () => postgres.restart(),
      askMeanwhile: () => expectRefused(gateway, tenant),
      health: { http: 503, database: { status: 'unhealthy' } },
    });
  });

  it('whose tables can not grow refuses who is new, says so, and goes on when there is room', async () => {
    const { gateway, url, limit } = await open();
    const tenant = await prepare(gateway);
    await administer(url, fillersTenant);
    const refuse = async () => {
      await limit(tablesOnlyBytes);
      for (const statement of fillUp) await administer(url, statement);
    };
    await expectToDegrade({
      gateway,
      tenant,
      refuse,
      allow: () => limit('unlimited'),
      askMeanwhile: () => askUntilRefused(gateway, tenant),
      health: couldNotGrow,
    });
  });
});
