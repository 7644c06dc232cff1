import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAmount } from '../src/domain/money.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { expectOneTruth, type Fleet, sendTogether, startFleet, type Told } from './support/fleet.ts';
import { addModel, addTenant, type TestTenant } from './support/gateway.ts';
import { createDatabase, type PostgresService, startPostgres } from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';
import { type RedisCluster, startRedisCluster } from './support/services/redis-cluster.ts';
import { type RedisDoublingProxy, startDoublingProxy } from './support/services/redis-doubling-proxy.ts';

// Several processes on one Postgres and one Redis: one balance is one balance, whatever becomes of hot state.

const gateways = 4;
const price = '0.01';
const model = 'sea';

let postgres: PostgresService;
let simulator: Simulator;

beforeAll(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator();
});

afterAll(async () => {
  await simulator.close();
  await postgres.stop();
});

async function openFleet(at: Pick<Parameters<typeof startFleet>[0], 'redisEnv' | 'redisAddress'>) {
  const { url } = await createDatabase(postgres.url);
  const fleet = await startFleet({ gateways, databaseUrl: url, ...at });
  await addModel(
    fleet.gateways[0]!,
    model,
    { baseUrl: simulator.url, upstreamModel: 'sim?ttfb_ms=2&tokens_per_second=0&tokens=20' },
    { rates: { per_request: price } },
  );
  return fleet;
}

/** A balance for exactly so many requests. */
async function tenantWith(fleet: Fleet, requests: number) {
  const opening = parseAmount(price) * BigInt(requests);
  const tenant = await addTenant(fleet.gateways[0]!, { balance: `${(Number(price) * requests).toFixed(2)}` });
  return { tenant, opening };
}

const servedOf = (told: readonly Told[]) => told.filter(({ isServed }) => isServed).length;

function statusesOf(told: readonly Told[]) {
  const counts = new Map<string, number>();
  for (const { status, code } of told) {
    const name = code ?? `${status}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries(counts);
}

/** Has a cold tenant loaded, by a request that may be served. */
async function askOnceMore(fleet: Fleet, tenant: TestTenant): Promise<readonly Told[]> {
  return await sendTogether({ fleet, clients: 1, requests: 1, model, tenantOf: () => tenant });
}

describe(`${gateways} gateway processes on one Redis, and a balance for exactly 1,000 of 3,000 requests by 64 clients`, () => {
  let redis: RedisServer;
  let fleet: Fleet;

  beforeAll(async () => {
    redis = await startRedis();
    fleet = await openFleet({
      redisEnv: { REDIS_URL: redis.url },
      redisAddress: { kind: 'single', url: redis.url },
    });
  });
  afterAll(async () => {
    await fleet.stop();
    await redis.stop();
  });

  async function runAgainst(onAnswer: (count: number) => void) {
    const { tenant, opening } = await tenantWith(fleet, 1000);
    const told = await sendTogether({
      fleet,
      clients: 64,
      requests: 3000,
      model,
      tenantOf: () => tenant,
      onAnswer,
    });
    const last = await askOnceMore(fleet, tenant);
    console.info(JSON.stringify(statusesOf(told)));
    await expectOneTruth(fleet, [tenant], [...told, ...last], opening);
    return [...told, ...last];
  }

  it('serves exactly 1,000, and ledger, hot state and clients agree to the nano', async () => {
    const told = await runAgainst(() => undefined);
    expect(servedOf(told)).toBe(1000);
    expect(told.every(({ status }) => status === 200 || status === 402)).toBe(true);
  });

  it('serves not one too many when hot state is flushed 20 times in the middle', async () => {
    const client = new Redis(redis.url);
    const flushes: Promise<unknown>[] = [];
    const told = await runAgainst((count) => {
      if (count <= 1000 && count % 50 === 0) flushes.push(client.flushall());
    });
    await Promise.all(flushes);
    client.disconnect();
    expect(flushes).toHaveLength(20);
    expect(servedOf(told)).toBeLessThanOrEqual(1000);
    expect(servedOf(told)).toBeGreaterThan(950);
  });

  it('serves not one too many when Redis ends without persistence and begins anew, twice', async () => {
    const restarts: Promise<unknown>[] = [];
    const told = await runAgainst((count) => {
      if (count === 300 || count === 600) restarts.push(redis.crash().then(() => redis.restart()));
    });
    await Promise.all(restarts);
    expect(restarts).toHaveLength(2);
    expect(servedOf(told)).toBeLessThanOrEqual(1000);
    expect(servedOf(told)).toBeGreaterThan(950);
  });
});

describe(`${gateways} gateway processes behind a network that has every command to Redis sent twice`, () => {
  let redis: RedisServer;
  let proxy: RedisDoublingProxy;
  let fleet: Fleet;

  beforeAll(async () => {
    redis = await startRedis();
    proxy = await startDoublingProxy(redis.port);
    fleet = await openFleet({
      redisEnv: { REDIS_URL: proxy.url },
      redisAddress: { kind: 'single', url: redis.url },
    });
  });
  afterAll(async () => {
    await fleet.stop();
    await proxy.close();
    await redis.stop();
  });

  it('come to the same end: 200 of 600 are served, once each', async () => {
    const { tenant, opening } = await tenantWith(fleet, 200);
    const tenantOf = () => tenant;
    const told = await sendTogether({ fleet, clients: 64, requests: 600, model, tenantOf });
    expect(servedOf(told)).toBe(200);
    await expectOneTruth(fleet, [tenant], told, opening);
    // What several of them ask in one turn is one command.
    expect(proxy.doubled).toBeGreaterThan(200);
  });
});

describe(`${gateways} gateway processes on a Redis Cluster, and 50 tenants with a balance for exactly 20 of 60 requests each`, () => {
  let cluster: RedisCluster;
  let fleet: Fleet;

  beforeAll(async () => {
    cluster = await startRedisCluster();
    const nodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',');
    fleet = await openFleet({
      redisEnv: { REDIS_CLUSTER_NODES: nodes },
      redisAddress: { kind: 'cluster', nodes: cluster.nodes, password: null },
    });
  });
  afterAll(async () => {
    await fleet.stop();
    await cluster.stop();
  });

  it('serve exactly 20 to each, and ledger, hot state and clients agree to the nano', async () => {
    const tenants: TestTenant[] = [];
    let opening = 0n;
    for (let index = 0; index < 50; index++) {
      const made = await tenantWith(fleet, 20);
      tenants.push(made.tenant);
      opening = made.opening;
    }
    const tenantOf = (index: number) => tenants[index % tenants.length]!;
    const told = await sendTogether({ fleet, clients: 64, requests: 3000, model, tenantOf });
    expect(servedOf(told)).toBe(1000);
    await expectOneTruth(fleet, tenants, told, opening);
  });
});
