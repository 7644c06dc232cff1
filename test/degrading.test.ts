import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../src/domain/ids.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { expectOneTruth, type Fleet, startFleet, type Told } from './support/fleet.ts';
import { addModel, addTenant, sectionNineRates, type TestTenant } from './support/gateway.ts';
import {
  administer,
  createDatabase,
  type PostgresService,
  startPostgres,
} from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';
import { startTcpProxy, type TcpProxy } from './support/services/tcp-proxy.ts';

// The rows of docs/degrading.md about what is slow, and about a Redis that is away: who is served later, who is
// refused, and that nothing is half done. A Postgres that is away: postgres-stop.test.ts.

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const opening = 100_000_000_000n;
const soon = { timeout: 30_000, interval: 100 };

let postgres: PostgresService;
let redis: RedisServer;
let simulator: Simulator;
let toPostgres: TcpProxy;
let toRedis: TcpProxy;
let databaseUrl: string;
let fleet: Fleet;
let tenant: TestTenant;

beforeAll(async () => {
  postgres = await startPostgres();
  redis = await startRedis();
  simulator = await startSimulator();
  databaseUrl = (await createDatabase(postgres.url)).url;
  toPostgres = await startTcpProxy(Number(new URL(postgres.url).port));
  toRedis = await startTcpProxy(redis.port);
  const proxied = new URL(databaseUrl);
  proxied.port = `${toPostgres.port}`;
  fleet = await startFleet({
    gateways: 2,
    databaseUrl,
    gatewaysDatabaseUrl: proxied.href,
    redisEnv: { REDIS_URL: `redis://127.0.0.1:${toRedis.port}` },
    redisAddress: { kind: 'single', url: redis.url },
  });
  const model = (name: string, directives: string) =>
    addModel(
      fleet.gateways[0]!,
      name,
      { baseUrl: simulator.url, upstreamModel: `sim?${directives}` },
      { rates: sectionNineRates },
    );
  await model('quick', 'ttfb_ms=0&tokens_per_second=0&tokens=20');
  await model('running', 'ttfb_ms=0&tokens_per_second=20&tokens=80');
  await model('late', 'ttfb_ms=1500&tokens_per_second=10&tokens=10');
});

beforeEach(async () => {
  tenant = await addTenant(fleet.gateways[0]!);
  // Both gateways know it from here on: what is away or slow later is so for requests, not for their API key.
  expect((await Promise.all([ask(0), ask(1)])).map(({ status }) => status)).toEqual([200, 200]);
});

afterEach(async () => {
  toPostgres.delayMs = 0;
  toRedis.delayMs = 0;
});

afterAll(async () => {
  await fleet.stop();
  await toPostgres.close();
  await toRedis.close();
  await simulator.close();
  await redis.stop();
  await postgres.stop();
});

async function begin(turn: number, model: string, stream: boolean) {
  const response = await fetch(`${fleet.gateways[turn % 2]!.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tenant.apiKey}` },
    body: JSON.stringify({ model, messages, stream }),
  });
  const told = response.text().then((text): Told => {
    const isWhole = !stream || text.trimEnd().endsWith('data: [DONE]');
    const code = response.status === 200 ? null : JSON.parse(text).error.code;
    const transactionId = response.headers.get('x-billing-transaction-id');
    return {
      status: response.status,
      code,
      isServed: response.status === 200 && isWhole,
      transactionId,
      amount: null,
    };
  });
  return { told };
}

const ask = async (turn = 0, model = 'quick', stream = false) =>
  await (await begin(turn, model, stream)).told;

/** Both gateways, streams and not, at the same time. */
const askTogether = (count: number) =>
  Promise.all(Array.from({ length: count }, (_, index) => ask(index, 'quick', index % 4 > 1)));

const codesOf = (all: readonly Told[]) => [...new Set(all.map(({ status, code }) => `${status} ${code}`))];

/** Those of `beforeEach` are two of them. */
async function expectExact(told: readonly Told[]): Promise<void> {
  const others = (await fleet.ledger.list({ tenantId: tenant.id as TenantId, limit: 500 })).slice(-3, -1);
  const first = others.map(({ id }) => ({ ...served, transactionId: id }));
  await expectOneTruth(fleet, [tenant], [...first, ...told], opening);
}
const served: Told = { status: 200, code: null, isServed: true, transactionId: null, amount: null };

/** Every write of a transaction takes so long, as on a disk that is very slow. */
async function slowWrites(seconds: number): Promise<AsyncDisposable> {
  await administer(
    databaseUrl,
    `CREATE FUNCTION slow_write() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN PERFORM pg_sleep(${seconds}); RETURN NULL; END $$;
     CREATE TRIGGER slow_write BEFORE INSERT OR UPDATE ON billing_transaction
       FOR EACH STATEMENT EXECUTE FUNCTION slow_write()`,
  );
  return {
    [Symbol.asyncDispose]: () => administer(databaseUrl, 'DROP FUNCTION slow_write CASCADE'),
  };
}

describe('a Postgres that is slow', () => {
  it('by 40 ms in each direction serves everyone, later and exactly', async () => {
    toPostgres.delayMs = 40;
    const told = await askTogether(24);
    expect(codesOf(told)).toEqual(['200 null']);
    await expectExact(told);
  });

  it('by most of a second for every write serves everyone, later and exactly', async () => {
    await using _ = await slowWrites(0.8);
    const told = await askTogether(24);
    expect(codesOf(told)).toEqual(['200 null']);
    await expectExact(told);
  });

  it('by 600 ms in each direction is as good as away: 503, streams go on, and nothing is half done', async () => {
    const running = await Promise.all([begin(0, 'running', true), begin(1, 'running', true)]);
    toPostgres.delayMs = 600;
    await sleep(1_000);
    const refused = await askTogether(8);
    expect(codesOf(refused)).toEqual(['503 LEDGER_UNAVAILABLE']);
    toPostgres.delayMs = 0;
    const streams = await Promise.all(running.map(({ told }) => told));
    expect(streams.every(({ isServed }) => isServed)).toBe(true);
    await expect.poll(async () => (await ask(0)).status, soon).toBe(200);
    const rows = await fleet.ledger.list({
      tenantId: tenant.id as TenantId,
      status: 'COMMITTED',
      limit: 500,
    });
    // Two of `beforeEach`, the opening balance, two streams, and the one that was served again.
    expect(rows).toHaveLength(6);
    await expectExact([...streams, { ...served, transactionId: rows[0]!.id }]);
  });

  it('by more than five seconds for a write is refused 503, and what was refused is undone', async () => {
    const slow = await slowWrites(6);
    const refused = await ask();
    expect(refused).toMatchObject({ status: 503, code: 'LEDGER_UNAVAILABLE' });
    await slow[Symbol.asyncDispose]();
    await expectExact([]);
    expect(await ask()).toMatchObject({ status: 200 });
  });
});

describe('a Redis that is slow', () => {
  it('by 150 ms in each direction serves everyone, later and exactly', async () => {
    toRedis.delayMs = 150;
    const told = await askTogether(24);
    expect(codesOf(told)).toEqual(['200 null']);
    await expectExact(told);
  });

  it('by more than a command may take is as good as away: 503, and no hold of what was refused stays', async () => {
    toRedis.delayMs = 700;
    const refused = await askTogether(8);
    expect(codesOf(refused)).toEqual(['503 HOT_STATE_UNAVAILABLE']);
    toRedis.delayMs = 0;
    await expectExact([]);
    await expect.poll(async () => (await ask()).status, soon).toBe(200);
  });
});

describe.each([
  ['ends, and starts again', () => redis.crash(), () => redis.restart()],
  ['freezes, and goes on', () => redis.freeze(), () => redis.thaw()],
])('a Redis that %s', (_, stop, start) => {
  it('refuses new requests while it is away, and every stream that ran is complete and charged', async () => {
    const running = await Promise.all(
      Array.from({ length: 10 }, (_, index) => begin(index, 'running', true)),
    );
    await stop();
    const refused: Told[] = [];
    for (let index = 0; index < 4; index++) {
      refused.push(await ask(index));
      await sleep(250);
    }
    expect(codesOf(refused)).toEqual(['503 HOT_STATE_UNAVAILABLE']);
    await start();
    const streams = await Promise.all(running.map(({ told }) => told));
    expect(streams.filter(({ isServed }) => !isServed)).toEqual([]);
    const back: Told[] = [];
    const askAgain = async () => {
      back.push(await ask());
      return back.at(-1)?.status;
    };
    await expect.poll(askAgain, soon).toBe(200);
    await expectExact([...streams, ...back]);
  });
});

describe('an upstream that is slow', () => {
  it('within its limits is waited for, and the money is held all the time', async () => {
    const asked = [ask(0, 'late', false), ask(1, 'late', true)];
    const openHolds = async () => (await fleet.hotState.look(tenant.id as TenantId))?.openHolds;
    await expect.poll(openHolds, soon).toBe(2);
    const told = await Promise.all(asked);
    expect(told.every(({ isServed }) => isServed)).toBe(true);
    await expectExact(told);
  });
});
