import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseAmount } from '../src/domain/money.ts';
import { openPostgres } from '../src/ledger/drivers/postgres.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import {
  addModel,
  addTenant,
  serversOf,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import { metricsUrlOf, type Sample, scrape } from './support/metrics.ts';
import { freePort } from './support/services/free-port.ts';
import type { TestDatabase } from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';
import { newDatabase } from './support/template.ts';

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const soon = { timeout: 30_000, interval: 50 };

let simulator: Simulator;
let gateway: TestGateway | null = null;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterEach(async () => {
  await gateway?.stop();
  gateway = null;
});
afterAll(() => simulator.close());

const sim = (parameters: string) => ({
  baseUrl: simulator.url,
  upstreamModel: `sim?ttfb_ms=0&tokens_per_second=0&tokens=20${parameters}`,
});

const ask = (from: TestGateway, { apiKey }: TestTenant, body: object, headers = {}) =>
  from.call(
    '/v1/chat/completions',
    { model: 'good', messages, ...body },
    { authorization: `Bearer ${apiKey}`, connection: 'close', ...headers },
  );

/** By one statement: what an admin's call does besides is nothing to the metrics. Each may spend a unit. */
async function manyTenants(databaseUrl: string, count: number): Promise<readonly string[]> {
  const driver = await openPostgres({ url: databaseUrl });
  try {
    const ids = Array.from({ length: count }, (_, index) => `tenant-${index}`);
    await driver.query(
      `WITH made AS (
        INSERT INTO tenant (tenant_id, name) SELECT id, id FROM unnest($1::text[]) id RETURNING tenant_id
      )
      INSERT INTO tenant_quota (tenant_id, currency, time_zone, credit_limit)
      SELECT tenant_id, 'USD', 'UTC', 1 FROM made`,
      [ids],
    );
    return ids;
  } finally {
    await driver.close();
  }
}

describe('the metrics of a gateway', () => {
  it('are what happened, and what the ledger says of it', async () => {
    gateway = await startGateway();
    const tenant = await addTenant(gateway);
    const poor = await addTenant(gateway, { balance: '0.000000001' });
    await addModel(gateway, 'good', sim(''));
    await addModel(gateway, 'failing', sim('&fault=refuse_500'));
    for (let count = 0; count < 3; count++) {
      expect((await ask(gateway, tenant, { stream: true })).status).toBe(200);
      expect((await ask(gateway, tenant, {})).status).toBe(200);
    }
    const key = { 'idempotency-key': 'once' };
    expect((await ask(gateway, tenant, {}, key)).status).toBe(200);
    expect((await ask(gateway, tenant, {}, key)).json.error.code).toBe('REQUEST_ALREADY_BILLED');
    expect((await ask(gateway, poor, {})).json.error.code).toBe('QUOTA_BALANCE_EXCEEDED');
    expect((await ask(gateway, tenant, { model: 'none' })).json.error.code).toBe('MODEL_NOT_FOUND');
    expect((await ask(gateway, tenant, { model: 'failing', stream: true })).status).toBe(500);
    const all = await settledTransactionsOf(gateway, tenant.id);
    const charges = all.filter(({ type, status }) => type === 'CHARGE' && status === 'COMMITTED');
    expect(charges).toHaveLength(7);
    const revenue = charges.reduce((sum, { amount }) => sum + parseAmount(amount), 0n);
    const input = charges.reduce((sum, { input_tokens: tokens }) => sum + tokens, 0);

    const seen = await scrape(gateway);
    const expected: readonly (readonly [string, number, Record<string, string>?])[] = [
      ['quota_check_passed_total', 8],
      ['quota_check_failed_total', 1, { reason: 'QUOTA_BALANCE_EXCEEDED' }],
      ['quota_check_failed_total', 1],
      ['quota_check_duration_seconds_count', 9],
      ['billing_deduct_success_total', 7],
      ['billing_deduct_failure_total', 0],
      ['billing_duration_seconds_count', 7],
      ['billing_idempotent_hit_total', 1],
      ['billing_stream_pending_created_total', 4],
      ['billing_stream_committed_total', 3],
      ['billing_stream_failed_total', 1],
      ['stream_token_calculation_total', 3, { method: 'usage' }],
      ['tollgate_tokens_total', input, { model: 'good', side: 'input' }],
      ['tollgate_requests_total', 7, { outcome: 'completed', code: '' }],
      ['tollgate_requests_total', 1, { outcome: 'refused', code: 'MODEL_NOT_FOUND' }],
      ['tollgate_model_requests_total', 1, { model: 'failing' }],
      ['tollgate_request_duration_seconds_count', 4, { stream: 'true' }],
      ['tollgate_pending_transactions', 0],
      ['tollgate_requests_in_flight', 0],
      ['tollgate_part_healthy', 1, { part: 'database' }],
    ];
    for (const [name, value, labels] of expected)
      expect({ name, labels, value: seen.sum(name, labels) }).toEqual({ name, labels, value });
    expect(seen.sum('tollgate_revenue_total', { model: 'good' })).toBeCloseTo(Number(revenue) / 1e9, 12);
    expect(seen.sum('tollgate_heartbeat_timestamp_seconds')).toBeGreaterThan(1_700_000_000);
    // A name that somebody has written is no label.
    expect(seen.text).not.toContain('"none"');
  });

  it('are as many series with 10,000 tenants as with one', { timeout: 300_000 }, async () => {
    const database = await newDatabase();
    try {
      const from = await startGateway({ redoReceipts: false, env: { DATABASE_URL: database.url } });
      gateway = from;
      await addModel(from, 'good', sim(''));
      const first = await addTenant(from);
      for (const body of [{}, { stream: true }]) expect((await ask(from, first, body)).status).toBe(200);
      const before = await scrape(from);

      const ids = await manyTenants(database.url, 10_000);
      const waiting = ids.filter((_, index) => index % 40 === 0).entries();
      const work = async () => {
        for (const [index, id] of waiting) {
          const { secret } = await from.admin('POST', `/tenants/${id}/api-keys`, { name: 'test' });
          const answer = await ask(from, { id, apiKey: secret }, { stream: index % 2 === 0 });
          expect(answer.status).toBe(200);
        }
      };
      await Promise.all(Array.from({ length: 8 }, work));

      const after = await scrape(from);
      expect(after.sum('tollgate_requests_total')).toBe(252);
      const keyOf = ({ name, labels }: Sample) => `${name} ${JSON.stringify(labels)}`;
      const known = new Set(before.samples.map(keyOf));
      const ofTollgate = after.samples.filter(({ name }) => !/^(nodejs|process)_/.test(name));
      // Only what the first minute of a process has not come to yet.
      const added = ofTollgate.map(keyOf).filter((key) => !known.has(key));
      expect(added.filter((key) => !/reconcile_timestamp|token_accuracy|tokens_compared/.test(key))).toEqual(
        [],
      );
      expect(after.text).not.toMatch(/tenant_id=/);
    } finally {
      await gateway?.stop();
      gateway = null;
      await database.remove();
    }
  });

  it('are refused to start where somebody has the port that was asked for, and gone without otherwise', async () => {
    const taken = createServer().listen({ host: '127.0.0.1', port: 0 });
    await once(taken, 'listening');
    try {
      const port = String((taken.address() as { port: number }).port);
      const start = startGateway({ env: { PROMETHEUS_PORT: port } });
      await expect(start).rejects.toThrow(
        /port \d+: .*EADDRINUSE.*Set PROMETHEUS_PORT, or PROMETHEUS_ENABLED=false/,
      );
      gateway = await startGateway({ env: { PROMETHEUS_ENABLED: 'false', PROMETHEUS_PORT: port } });
      expect(() => metricsUrlOf(gateway!)).toThrow('no metrics are told of');
    } finally {
      taken.close();
    }
  });

  it('are on a port that clients need not reach, and nowhere else', async () => {
    gateway = await startGateway({ env: { PROMETHEUS_PORT: String(await freePort()) } });
    expect((await fetch(`${gateway.url}/metrics`)).status).toBe(404);
    const other = metricsUrlOf(gateway).replace('/metrics', '/health');
    expect((await fetch(other)).status).toBe(404);
  });
});

describe('with workers', () => {
  let redis: RedisServer;
  let database: TestDatabase;
  beforeAll(async () => {
    redis = await startRedis();
    database = await newDatabase();
  });
  afterAll(async () => {
    await redis.stop();
    await database.remove();
  });

  it('are those of all of them together, and never fall when one ends', { timeout: 120_000 }, async () => {
    const env = { DATABASE_URL: database.url, REDIS_URL: redis.url, WORKERS: '2' };
    const from = await startGateway({ env });
    gateway = from;
    const tenant = await addTenant(from);
    await addModel(from, 'good', sim(''));
    let asked = 0;
    const askBoth = async () => {
      asked += 2;
      await Promise.all([ask(from, tenant, {}), ask(from, tenant, { stream: true })]);
      return serversOf(from).length;
    };
    await expect.poll(askBoth, soon).toBeGreaterThanOrEqual(2);
    const total = async () => (await scrape(from)).sum('quota_check_passed_total');
    expect(await total()).toBe(asked);
    const before = await scrape(from);
    expect(before.sum('tollgate_workers', { state: 'answering' })).toBe(2);
    expect(before.sum('tollgate_queue_limit', { queue: 'requests' })).toBe(8_000);
    expect(before.sum('redis_lua_duration_seconds_count', { script: 'quota_check' })).toBeGreaterThanOrEqual(
      asked,
    );

    process.kill(serversOf(from)[0]!, 'SIGKILL');
    const living = async () => (await scrape(from)).sum('tollgate_workers', { state: 'answering' });
    await expect.poll(living, soon).toBe(1);
    expect(await total()).toBe(asked);
    await expect.poll(living, soon).toBe(2);
    expect(await total()).toBe(asked);
    await expect.poll(() => ask(from, tenant, {}).then(({ status }) => status), soon).toBe(200);
    expect(await total()).toBe(asked + 1);
  });
});
