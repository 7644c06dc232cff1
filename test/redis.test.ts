import { once } from 'node:events';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';
import { startRedisCluster } from './support/services/redis-cluster.ts';

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const settings = { requirepass: 'planted-password' };
const soon = { timeout: 20_000, interval: 100 };

let redis: RedisServer;
let admin: Redis;
let simulator: Simulator;
let gateway: TestGateway;
let tenant: TestTenant;

beforeAll(async () => {
  redis = await startRedis(settings);
  admin = new Redis(redis.port, { password: settings.requirepass });
  admin.on('error', () => undefined);
  simulator = await startSimulator();
  gateway = await startGateway({
    env: { REDIS_HOST: '127.0.0.1', REDIS_PORT: `${redis.port}`, REDIS_PASSWORD: settings.requirepass },
  });
  tenant = await addTenant(gateway);
  await addModel(gateway, 'sea', {
    baseUrl: simulator.url,
    upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=0&tokens=200',
  });
});

afterAll(async () => {
  await gateway.stop();
  await simulator.close();
  admin.disconnect();
  await redis.stop();
});

const ask = () =>
  gateway.call(
    '/v1/chat/completions',
    { model: 'sea', messages },
    { authorization: `Bearer ${tenant.apiKey}` },
  );
const statusOf = async (path: string) => (await fetch(`${gateway.url}${path}`)).status;
const health = async () => (await fetch(`${gateway.url}/health`)).json();
const charges = async () =>
  (await settledTransactionsOf(gateway, tenant.id)).filter(
    ({ type, status }) => type === 'CHARGE' && status === 'COMMITTED',
  );

describe('a gateway with hot state in Redis', () => {
  it('bills a request, and holds nothing of it afterwards', async () => {
    const answer = await ask();
    expect(answer.status).toBe(200);
    expect(await charges()).toMatchObject([{ id: answer.headers.get('x-billing-transaction-id') }]);
    const { quota } = await gateway.admin('GET', `/tenants/${tenant.id}`);
    expect(quota).toMatchObject({ held: '0', balance: answer.headers.get('x-billing-balance') });
    expect(await admin.keys('*')).toContain(`gw:quota:tenant:{${tenant.id}}`);
  });

  it('tells in its health how Redis is, and whether its scripts are there', async () => {
    const well = { status: 'healthy', latency_ms: expect.any(Number) };
    expect(await health()).toMatchObject({ status: 'healthy', redis: well, lua_scripts: well });
    await admin.script('FLUSH');
    await expect
      .poll(health, soon)
      .toMatchObject({ status: 'degraded', lua_scripts: { detail: expect.stringMatching(/loaded again/) } });
    await expect.poll(health, soon).toMatchObject({ status: 'healthy', lua_scripts: well });
  });

  it('is degraded, and serves, while Redis may drop holds, and says what to do', async () => {
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const detail = expect.stringContaining('redis-cli config set maxmemory-policy noeviction');
    await expect
      .poll(health, soon)
      .toMatchObject({ status: 'degraded', redis: { status: 'degraded', detail } });
    expect([await statusOf('/health'), await statusOf('/health/ready')]).toEqual([200, 200]);
    expect((await ask()).status).toBe(200);
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    await expect.poll(health, soon).toMatchObject({ status: 'healthy' });
  });

  it('refuses with 503 while Redis is away, stays alive, and serves again after', async () => {
    const billed = (await charges()).length;
    await redis.stop();
    const refused = await ask();
    expect(refused.status).toBe(503);
    expect(refused.json.error.code).toBe('HOT_STATE_UNAVAILABLE');
    await expect.poll(() => statusOf('/health/ready'), soon).toBe(503);
    expect(await health()).toMatchObject({
      status: 'unhealthy',
      database: { status: 'healthy' },
      redis: { status: 'unhealthy' },
      lua_scripts: { status: 'unhealthy' },
    });
    expect(await statusOf('/health/live')).toBe(200);

    redis = await startRedis({ ...settings, port: `${redis.port}` });
    await expect.poll(() => statusOf('/health/ready'), soon).toBe(200);
    expect((await ask()).status).toBe(200);
    expect(await charges()).toHaveLength(billed + 1);
  });

  it('never prints the password', () => {
    expect(gateway.output()).toContain('a connection to Redis');
    expect(gateway.output()).not.toContain(settings.requirepass);
  });
});

it('bills on a Redis Cluster too, and forgets what an admin changed', async () => {
  const cluster = await startRedisCluster();
  const nodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`).join();
  const other = await startGateway({ env: { REDIS_CLUSTER_NODES: nodes } });
  await addModel(other, 'sea', { baseUrl: simulator.url, upstreamModel: 'sim?ttfb_ms=0&tokens=20' });
  const tenants = await Promise.all(Array.from({ length: 6 }, () => addTenant(other)));
  for (const { id, apiKey } of tenants) {
    const headers = { authorization: `Bearer ${apiKey}` };
    expect((await other.call('/v1/chat/completions', { model: 'sea', messages }, headers)).status).toBe(200);
    const { data } = await other.admin('GET', `/tenants/${id}/api-keys`);
    await other.admin('DELETE', `/tenants/${id}/api-keys/${data[0].id}`);
    expect((await other.call('/v1/chat/completions', { model: 'sea', messages }, headers)).status).toBe(401);
  }
  const report = await (await fetch(`${other.url}/health`)).json();
  expect(report).toMatchObject({ status: 'healthy', redis: { detail: 'redis (cluster)' } });
  await other.stop();
  await cluster.stop();
});

it('does not start where Redis refuses it, and says so in one line without the password', async () => {
  const starting = startGateway({ env: { REDIS_URL: `redis://:planted@127.0.0.1:${redis.port}` } });
  const { message } = await starting.then(
    (unexpected) => unexpected.stop().then(() => new Error('it started')),
    (error: Error) => error,
  );
  const [, ...lines] = message.trim().split('\n');
  expect(lines).toEqual([expect.stringMatching(/^Redis at 127\.0\.0\.1:\d+ can't be used .*: WRONGPASS/)]);
  expect(message).not.toContain('planted');
});

it('ends at once when it is told to, with Redis gone', async () => {
  const own = await startRedis();
  const other = await startGateway({ env: { REDIS_URL: own.url } });
  await own.stop();
  const exited = once(other.process, 'exit');
  other.process.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  await other.stop();
});
