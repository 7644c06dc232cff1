import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { addModel, addTenant, startGateway, type TestGateway, type TestTenant } from './support/gateway.ts';
import type { TestDatabase } from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';
import { newDatabase } from './support/template.ts';

// What an admin changes through one process is seen by the others well before their cached answers have
// aged, which takes ten seconds.

const entry = fileURLToPath(new URL('../bin/tollgate.js', import.meta.url));
const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const soon = { timeout: 5_000, interval: 50 };
const upstreamModel = 'sim?ttfb_ms=0&tokens_per_second=0&tokens=200';

let database: TestDatabase;
let redis: RedisServer;
let simulator: Simulator;
let folder: string;

beforeAll(async () => {
  database = await newDatabase();
  redis = await startRedis();
  simulator = await startSimulator();
  folder = await mkdtemp(join(tmpdir(), 'tollgate-prices-'));
});

afterAll(async () => {
  await simulator.close();
  await redis.stop();
  await database.remove();
  await rm(folder, { recursive: true, force: true });
});

const start = (env: Readonly<Record<string, string>> = {}) =>
  startGateway({ env: { DATABASE_URL: database.url, REDIS_URL: redis.url, ...env } });

/** Each on a connection of its own: with several workers on the port, any of them may answer. */
const ask = (gateway: TestGateway, apiKey: string, model: string) =>
  gateway.call(
    '/v1/chat/completions',
    { model, messages },
    { authorization: `Bearer ${apiKey}`, connection: 'close' },
  );

/** Every process behind the port answers some of so many. */
async function everyAnswer(gateway: TestGateway, apiKey: string, model: string) {
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(gateway, apiKey, model)));
  return {
    statuses: [...new Set(answers.map(({ status }) => status))],
    codes: [...new Set(answers.map(({ json }) => json.error?.code))],
    amounts: [...new Set(answers.map(({ headers }) => headers.get('x-billing-amount')))],
  };
}

/** `tollgate prices import`, as a user runs it beside the gateways. */
async function importPrice(provider: string, model: string, redisUrl: string) {
  const file = join(folder, `${provider}.json`);
  const prices = { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 };
  await writeFile(
    file,
    JSON.stringify({ [`${provider}/${model}`]: { litellm_provider: provider, ...prices } }),
  );
  const env = { PATH: process.env.PATH ?? '', DATABASE_URL: database.url, REDIS_URL: redisUrl };
  return await promisify(execFile)(process.execPath, [entry, 'prices', 'import', file], { env });
}

const served = { statuses: [200] };

describe.each([
  ['another gateway', '1'],
  ['every worker of another gateway', '2'],
  ['every worker behind its own port', 'same'],
])('a change through one gateway is seen by %s', (name, workers) => {
  const model = `sea-${name.length}`;
  let here: TestGateway;
  let there: TestGateway;
  let tenant: TestTenant;

  beforeAll(async () => {
    here = await start(workers === 'same' ? { WORKERS: '2' } : {});
    there = workers === 'same' ? here : await start({ WORKERS: workers });
    tenant = await addTenant(here);
    await addModel(here, model, { baseUrl: simulator.url, upstreamModel });
  });

  afterAll(async () => {
    await here.stop();
    await there.stop();
  });

  it('when a tenant and a model are made', async () => {
    await expect.poll(() => everyAnswer(there, tenant.apiKey, model), soon).toMatchObject(served);
  });

  it('when an API key is made, and when it is revoked', async () => {
    const path = `/tenants/${tenant.id}/api-keys`;
    const { id, secret } = await here.admin('POST', path, { name: 'another' });
    await expect.poll(() => everyAnswer(there, secret, model), soon).toMatchObject(served);
    await here.admin('DELETE', `${path}/${id}`);
    await expect
      .poll(() => everyAnswer(there, secret, model), soon)
      .toMatchObject({ statuses: [401], codes: ['API_KEY_INVALID'] });
  });

  it('when a model gets other rates', async () => {
    const { amounts } = await everyAnswer(there, tenant.apiKey, model);
    await here.admin('PUT', `/models/${model}`, {
      routes: [{ upstream: `up-${model}`, upstream_model: upstreamModel }],
      rates: { input_per_1k: '0.002', output_per_1k: '0.004' },
    });
    await expect
      .poll(() => everyAnswer(there, tenant.apiKey, model), soon)
      .toMatchObject({ amounts: [String(2 * Number(amounts[0]))] });
  });

  it('when a tenant pays another share of the rates', async () => {
    const { amounts } = await everyAnswer(there, tenant.apiKey, model);
    await here.admin('PATCH', `/tenants/${tenant.id}`, { rate_multiplier_ppm: 2_000_000 });
    await expect
      .poll(() => everyAnswer(there, tenant.apiKey, model), soon)
      .toMatchObject({ amounts: [String(2 * Number(amounts[0]))] });
  });

  it('when a tenant gets other limits', async () => {
    await here.admin('PATCH', `/tenants/${tenant.id}`, { daily_quota: 1 });
    await expect
      .poll(() => everyAnswer(there, tenant.apiKey, model), soon)
      .toMatchObject({ statuses: [429], codes: ['QUOTA_DAILY_EXCEEDED'] });
    await there.admin('PATCH', `/tenants/${tenant.id}`, { daily_quota: null });
    await expect.poll(() => everyAnswer(here, tenant.apiKey, model), soon).toMatchObject(served);
  });

  it('when a counter begins anew', async () => {
    await here.admin('PATCH', `/tenants/${tenant.id}`, { daily_quota: 0 });
    const refused = { statuses: [429], codes: ['QUOTA_DAILY_EXCEEDED'] };
    const sees = (wanted: object) =>
      expect.poll(() => everyAnswer(there, tenant.apiKey, model), soon).toMatchObject(wanted);
    await sees(refused);
    // As many as were used: there is room for none until the reset, and for eight after it.
    const { daily_used } = (await here.admin('GET', `/tenants/${tenant.id}`)).quota;
    await here.admin('PATCH', `/tenants/${tenant.id}`, { daily_quota: daily_used });
    await sees(refused);
    await here.admin('POST', `/tenants/${tenant.id}/resets`, { daily: true });
    await expect.poll(async () => (await ask(there, tenant.apiKey, model)).status, soon).toBe(200);
    await here.admin('PATCH', `/tenants/${tenant.id}`, { daily_quota: null });
    await sees(served);
  });

  it('when prices are imported beside them', async () => {
    const unpriced = `unpriced-${model}`;
    const upstream = { id: unpriced, provider: unpriced, dialects: ['openai.chat'], base_url: simulator.url };
    await here.admin('POST', '/upstreams', upstream);
    await here.admin('PUT', `/models/${unpriced}`, {
      routes: [{ upstream: unpriced, upstream_model: upstreamModel }],
    });
    await expect
      .poll(() => everyAnswer(there, tenant.apiKey, unpriced), soon)
      .toMatchObject({ codes: ['MODEL_NOT_PRICED'] });
    const { stdout, stderr } = await importPrice(unpriced, upstreamModel, redis.url);
    expect([stdout, stderr]).toEqual([expect.stringContaining('1 added'), '']);
    await expect.poll(() => everyAnswer(there, tenant.apiKey, unpriced), soon).toMatchObject(served);
  });
});

it('imports prices where Redis is away too, and says when they will be seen', async () => {
  const { stdout, stderr } = await importPrice('far', 'away', 'redis://:planted@127.0.0.1:1');
  expect(stdout).toContain('1 added');
  expect(stderr).toMatch(/^Gateways that run see the prices after 10 seconds, .*ECONNREFUSED/);
  expect(stderr).not.toContain('planted');
});
