import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../src/domain/ids.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { expectOneTruth, type Fleet, startFleet, type Told } from './support/fleet.ts';
import { addModel, addTenant, sectionNineRates, type TestTenant } from './support/gateway.ts';
import { createDatabase, type PostgresService, startPostgres } from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';

// Postgres is away for five seconds under load: who is new is told so, who is being served doesn't notice, and
// what was delivered is charged.

const stoppedForMs = 5_000;
const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const opening = 100_000_000_000n;

let postgres: PostgresService;
let redis: RedisServer;
let simulator: Simulator;
let fleet: Fleet;

beforeAll(async () => {
  postgres = await startPostgres();
  redis = await startRedis();
  simulator = await startSimulator();
  const { url } = await createDatabase(postgres.url);
  fleet = await startFleet({
    gateways: 2,
    databaseUrl: url,
    redisEnv: { REDIS_URL: redis.url },
    redisAddress: { kind: 'single', url: redis.url },
  });
  for (const tokens of [40, 160]) {
    await addModel(
      fleet.gateways[0]!,
      `sea-${tokens}`,
      { baseUrl: simulator.url, upstreamModel: `sim?ttfb_ms=0&tokens_per_second=20&tokens=${tokens}` },
      { rates: sectionNineRates },
    );
  }
});

afterAll(async () => {
  await fleet.stop();
  await simulator.close();
  await redis.stop();
  await postgres.stop();
});

interface Stream {
  /** Resolves when the client has its first byte. */
  readonly begun: Promise<unknown>;
  readonly told: Promise<Told>;
}

function startStream(tenant: TestTenant, index: number, model: string): Stream {
  const answered = fetch(`${fleet.gateways[index % 2]!.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tenant.apiKey}` },
    body: JSON.stringify({ model, messages, stream: true }),
  });
  const told = answered.then(async (response): Promise<Told> => {
    const text = await response.text();
    return {
      status: response.status,
      code: null,
      isServed: text.trimEnd().endsWith('data: [DONE]'),
      transactionId: response.headers.get('x-billing-transaction-id'),
      amount: null,
    };
  });
  return { begun: answered, told };
}

async function askAndTime(tenant: TestTenant, index: number) {
  const startedAtMs = performance.now();
  const { status, json } = await fleet.gateways[index % 2]!.call(
    '/v1/chat/completions',
    { model: 'sea-40', messages },
    { authorization: `Bearer ${tenant.apiKey}` },
  );
  return { status, code: json.error?.code, waitedMs: performance.now() - startedAtMs };
}

describe.each([
  ['ends, and starts again', () => postgres.crash(), () => postgres.restart()],
  ['freezes, and goes on', () => postgres.freeze(), () => postgres.thaw()],
])('a Postgres that %s', (_, stop, start) => {
  it('refuses new requests while it is away, and every stream that ran is complete and charged', async () => {
    const tenant = await addTenant(fleet.gateways[0]!, { balance: '100' });
    // Half of them end while it is away, and half after it is back.
    const streams = Array.from({ length: 40 }, (_, index) =>
      startStream(tenant, index, index % 4 < 2 ? 'sea-40' : 'sea-160'),
    );
    await Promise.all(streams.map(({ begun }) => begun));
    await stop();
    const returns = sleep(stoppedForMs).then(start);
    const refused = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        await sleep(index * 80);
        return await askAndTime(tenant, index);
      }),
    );
    const codes = new Set(refused.map(({ status, code }) => `${status} ${code}`));
    expect([...codes]).toEqual(['503 LEDGER_UNAVAILABLE']);
    console.info(`slowest refusal: ${Math.max(...refused.map(({ waitedMs }) => waitedMs)).toFixed(0)} ms`);
    await returns;
    const told = await Promise.all(streams.map((stream) => stream.told));
    expect(told.filter(({ isServed }) => !isServed)).toEqual([]);
    await expectOneTruth(fleet, [tenant], told, opening);
  });
});

/** Postgres is away while the tenant asks. @returns what it is told, and what is held for it then */
async function askWhileAway(tenant: TestTenant) {
  await expect.poll(async () => (await askAndTime(tenant, 0)).status, { timeout: 20_000 }).toBe(200);
  await postgres.crash();
  const codes: string[] = [];
  for (let index = 0; index < 12; index++) {
    const { status, code } = await askAndTime(tenant, index);
    codes.push(`${status} ${code}`);
    await sleep(150);
  }
  const held = (await fleet.hotState.look(tenant.id as TenantId))?.held ?? 0n;
  await postgres.restart();
  return { codes, held };
}

// A request that can't be closed keeps its hold, so that hot state soon has nothing left to give.
it('tells a tenant whose money it holds itself that the ledger is away, not that the money is spent', async () => {
  const tenant = await addTenant(fleet.gateways[0]!, { balance: '0.01' });
  // Where the API key just aged out of the cache, nobody gets as far as to hold anything: then once more.
  for (let attempt = 1; attempt <= 5; attempt++) {
    const { codes, held } = await askWhileAway(tenant);
    expect([...new Set(codes)]).toEqual(['503 LEDGER_UNAVAILABLE']);
    await expect.poll(async () => (await askAndTime(tenant, 0)).status, { timeout: 20_000 }).toBe(200);
    if (held > 0n) return;
  }
  throw new Error('nothing was ever held');
});
