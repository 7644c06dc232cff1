import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadTenant, plainKey, quotaProjection } from '../../../test/support/hot-state.ts';
import { type RedisCluster, startRedisCluster } from '../../../test/support/services/redis-cluster.ts';
import { failOnFault } from '../../../test/support/use-redis.ts';
import type { TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import { describeHotState } from '../hot-state.contract.ts';
import { connectRedis, mastersOf, type RedisClient } from './connect.ts';
import { createRedisHotState } from './redis.ts';
import { loadScripts, type RunScript } from './scripts.ts';

let cluster: RedisCluster;
let client: RedisClient;
let run: RunScript;

beforeAll(async () => {
  cluster = await startRedisCluster();
  client = await connectRedis({
    address: { kind: 'cluster', nodes: cluster.nodes.slice(0, 1), password: null },
    onError: failOnFault,
  });
  run = await loadScripts(client);
});

afterAll(async () => {
  client.disconnect();
  await cluster.stop();
});

async function empty(): Promise<void> {
  await Promise.all(mastersOf(client).map((node) => node.flushall()));
}

describeHotState('Redis Cluster', async (clock) => {
  await empty();
  return createRedisHotState({ run, now: clock.now, onFault: failOnFault });
});

it('spreads tenants over the masters and serves them all at once', async () => {
  await empty();
  const hotState = createRedisHotState({ run, onFault: failOnFault });
  const tenants = Array.from({ length: 50 }, (_, index) => `tenant-${index}` as TenantId);
  const check = (tenantId: TenantId, index: number) => ({
    tenantId,
    ...plainKey,
    traceId: `trace-${index}` as TraceId,
    holder: `holder-${tenantId}-${index}` as TransactionId,
    holdAmount: nano(1n),
  });
  await Promise.all(
    tenants.map((tenantId) =>
      loadTenant(hotState, { projection: quotaProjection({ tenantId, balance: nano(7n) }) }),
    ),
  );
  const answers = await Promise.all(
    tenants.flatMap((tenantId) =>
      Array.from({ length: 10 }, (_, index) => hotState.check(check(tenantId, index))),
    ),
  );
  expect(answers.filter(({ kind }) => kind === 'admitted')).toHaveLength(7 * tenants.length);
  const keys = await Promise.all(mastersOf(client).map((node) => node.dbsize()));
  expect(keys).toHaveLength(3);
  for (const count of keys) expect(count).toBeGreaterThan(0);
});
