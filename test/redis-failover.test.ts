import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../src/domain/ids.ts';
import { parseAmount } from '../src/domain/money.ts';
import { tenantKeys } from '../src/hot-state/redis/keys.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { expectOneTruth, type Fleet, type FleetOptions, sendTogether, startFleet } from './support/fleet.ts';
import { addModel, addTenant } from './support/gateway.ts';
import { createDatabase, type PostgresService, startPostgres } from './support/services/postgres.ts';
import { startRedisCluster } from './support/services/redis-cluster.ts';
import { startRedisSentinel } from './support/services/redis-sentinel.ts';

// A replica that is promoted may lack the last writes of its master: what it has of a tenant is not trusted.

const price = '0.01';
const affordable = 300;
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

async function openFleet(redis: Pick<FleetOptions, 'redisEnv' | 'redisAddress'>): Promise<Fleet> {
  const { url } = await createDatabase(postgres.url);
  const fleet = await startFleet({ gateways: 2, databaseUrl: url, ...redis });
  await addModel(
    fleet.gateways[0]!,
    model,
    { baseUrl: simulator.url, upstreamModel: 'sim?ttfb_ms=2&tokens_per_second=0&tokens=20' },
    { rates: { per_request: price } },
  );
  return fleet;
}

/** A master dies when a third is served, and nobody is served what the balance doesn't pay. */
async function expectNotOneTooMany(fleet: Fleet, crash: (tenantId: TenantId) => Promise<unknown>) {
  const opening = parseAmount(price) * BigInt(affordable);
  const tenant = await addTenant(fleet.gateways[0]!, { balance: '3.00' });
  const crashes: Promise<unknown>[] = [];
  const told = await sendTogether({
    fleet,
    clients: 32,
    requests: 3 * affordable,
    model,
    tenantOf: () => tenant,
    onAnswer: (count) => {
      if (count === affordable / 3) crashes.push(crash(tenant.id as TenantId));
    },
  });
  await Promise.all(crashes);
  expect(crashes).toHaveLength(1);
  const last = await sendTogether({ fleet, clients: 1, requests: 1, model, tenantOf: () => tenant });
  const all = [...told, ...last];
  const served = all.filter(({ isServed }) => isServed).length;
  console.info(`${served} of ${affordable} served`);
  expect(served).toBeLessThanOrEqual(affordable);
  expect(served).toBeGreaterThan(affordable - 32);
  await expectOneTruth(fleet, [tenant], all, opening);
}

describe('a failover by Sentinel', () => {
  it('serves not one too many, and goes on with the new master', async () => {
    await using redis = await disposable(startRedisSentinel());
    const { name, addresses } = redis.value;
    const sentinels = addresses.map(({ host, port }) => `${host}:${port}`).join(',');
    await using fleet = await disposable(
      openFleet({
        redisEnv: { REDIS_SENTINELS: sentinels, REDIS_SENTINEL_NAME: name },
        redisAddress: {
          kind: 'sentinel',
          sentinels: addresses,
          name,
          password: null,
          sentinelPassword: null,
          db: 0,
        },
      }),
    );
    await expectNotOneTooMany(fleet.value, async () => {
      await redis.value.master.crash();
      await redis.value.promoted();
    });
  });
});

describe('a failover in a Redis Cluster', () => {
  it('serves not one too many, and goes on with the new master', async () => {
    await using redis = await disposable(startRedisCluster());
    const { nodes } = redis.value;
    await using fleet = await disposable(
      openFleet({
        redisEnv: { REDIS_CLUSTER_NODES: nodes.map(({ host, port }) => `${host}:${port}`).join(',') },
        redisAddress: { kind: 'cluster', nodes, password: null },
      }),
    );
    await expectNotOneTooMany(fleet.value, async (tenantId) => {
      const place = await redis.value.placeOf(tenantKeys({ tenantId })[0]);
      await redis.value.masters[place]!.crash();
      await redis.value.promoted(place);
    });
  });
});

async function disposable<T extends { stop(): Promise<void> }>(starting: Promise<T>) {
  const value = await starting;
  return { value, [Symbol.asyncDispose]: () => value.stop() };
}
