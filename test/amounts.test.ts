import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type ApiKeyId,
  hashRequest,
  type InstanceId,
  type TenantId,
  type TraceId,
  type TransactionId,
} from '../src/domain/ids.ts';
import { formatAmount, nano } from '../src/domain/money.ts';
import { createRedisHotState } from '../src/hot-state/redis/redis.ts';
import type { Driver } from '../src/ledger/drivers/driver.ts';
import { openPostgres } from '../src/ledger/drivers/postgres.ts';
import type { Ledger } from '../src/ledger/ledger.ts';
import { createSqlLedger } from '../src/ledger/sql-ledger.ts';
import { loadTenant, plainKey } from './support/hot-state.ts';
import type { TestDatabase } from './support/services/postgres.ts';
import { newDatabase } from './support/template.ts';
import { failOnFault, useRedis } from './support/use-redis.ts';

// TypeScript, Lua, Redis and Postgres each have numbers that lose digits somewhere: none of them may be on the
// way of an amount.

const redis = useRedis();
let database: TestDatabase;
let driver: Driver;
let ledger: Ledger;

beforeAll(async () => {
  database = await newDatabase();
  driver = await openPostgres({ url: database.url });
  ledger = createSqlLedger({ driver });
});
afterAll(async () => {
  await driver.close();
  await database.remove();
});

const day = '2026-11-23';
const newId = () => randomUUIDv7() as string as TransactionId;
const newTrace = () => randomUUIDv7() as string as TraceId;

async function newTenant(): Promise<TenantId> {
  const tenant_id = `tenant-${randomUUIDv7()}` as TenantId;
  await driver.db.insertInto('tenant').values({ tenant_id, name: 'test' }).execute();
  await driver.db
    .insertInto('tenant_quota')
    .values({ tenant_id, currency: 'USD', time_zone: 'UTC' })
    .execute();
  return tenant_id;
}

async function snapshotOf(tenantId: TenantId) {
  const snapshot = await ledger.snapshot(tenantId);
  if (snapshot.kind !== 'snapshot') throw new Error('no such tenant');
  return snapshot;
}

/** Money comes in, is held, is held again after a flush, is charged and given back. */
async function goTheWay(amount: bigint): Promise<void> {
  const hotState = createRedisHotState({ run: redis.run, onFault: failOnFault });
  const whole = nano(amount);
  const tenantId = await newTenant();
  const requestHash = hashRequest('test');
  const posting = { tenantId, requestHash, description: null };
  await ledger.credit({ ...posting, id: newId(), traceId: newTrace(), type: 'TOPUP', amount: whole });
  await loadTenant(hotState, await snapshotOf(tenantId));

  const request = { ...plainKey, tenantId, traceId: newTrace(), holder: newId(), holdAmount: whole };
  expect(await hotState.check(request)).toMatchObject({ kind: 'admitted', remaining: { available: 0n } });
  const oneMore = { ...request, traceId: newTrace(), holder: newId(), holdAmount: nano(1n) };
  expect(await hotState.check(oneMore)).toMatchObject({ kind: 'denied', remaining: { available: 0n } });
  const { traceId, holder } = request;
  await ledger.createPending({
    ...posting,
    id: holder,
    traceId,
    apiKeyId: 'key' as ApiKeyId,
    holdAmount: whole,
    holdTokens: 0,
    currency: 'USD',
    provider: 'sim',
    model: 'sea',
    rates: { rates: {} },
    multiplierPpm: 1_000_000n,
    inputPrice: null,
    outputPrice: null,
    periodDay: day,
    ttlMs: 60_000,
    owner: 'instance' as InstanceId,
  });

  await redis.client.flushall();
  await loadTenant(hotState, await snapshotOf(tenantId));
  expect(await hotState.look(tenantId)).toMatchObject({ projection: { balance: amount }, held: amount });
  expect(await hotState.confirm({ ...request, periodDay: day })).toEqual({ kind: 'confirmed' });

  const committed = await ledger.commitPending({
    tenantId,
    traceId,
    transactionId: holder,
    amount: whole,
    metered: { usage: { input: 1 }, method: 'usage' },
    costAmount: whole,
    provider: null,
    rates: {},
    receipt: {
      lines: [],
      aboveInputTokens: null,
      serviceTier: null,
      serviceTierIsPriced: true,
      statedCost: whole,
      reported: null,
    },
    record: {
      outcome: 'completed',
      stream: false,
      streamCompleted: null,
      streamError: null,
      finishReason: 'stop',
      latencyMs: 1,
      timeToFirstByteMs: 1,
    },
  });
  if (committed.kind !== 'committed') throw new Error(committed.kind);
  expect(committed).toMatchObject({ amount, balanceAfter: 0n });
  await hotState.deduct(request, committed.projection, null);
  expect(await hotState.look(tenantId)).toMatchObject({ projection: { balance: 0n }, held: 0n });

  const refund = { tenantId, transactionId: holder, id: newId(), traceId: newTrace(), requestHash };
  const reversed = await ledger.reverse({ ...refund, description: null });
  if (reversed.kind !== 'posted') throw new Error(reversed.kind);
  await hotState.project(reversed.projection);
  expect(await hotState.look(tenantId)).toMatchObject({ projection: { balance: amount }, held: 0n });
  expect(await ledger.findById(holder)).toMatchObject({ amount, costAmount: amount });
}

const edges = [
  1n,
  10n ** 8n,
  10n ** 14n - 1n,
  10n ** 15n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 53n + 10n ** 8n,
  2n ** 63n - 1n,
  2n ** 63n + 1n,
  // The most that the ledger's column holds.
  10n ** 20n - 1n,
];

it.each(edges.map((edge) => [formatAmount(nano(edge)), edge]))(
  '%s survives the whole way',
  async (_, edge) => {
    await goTheWay(edge);
  },
);

it('so does n × 1e8, which Lua would write as a float', async () => {
  for (const factor of [1n, 2n, 3n, 7n, 10n, 99n, 12_345n, 90_071_992n, 90_071_993n, 999_999_999_999n]) {
    await goTheWay(factor * 10n ** 8n);
  }
});
