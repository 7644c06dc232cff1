import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../src/domain/ids.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { expectOneTruth, type Fleet, startFleet, type Told } from './support/fleet.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import {
  administer,
  createDatabase,
  type PostgresService,
  startPostgres,
} from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';
import { stepClock, steppedBy } from './support/stepped-clock.ts';

// A clock is set anew by a day or two while requests run: what runs is complete and charged, nobody takes it for
// dead, and no limit is opened again. Redis' clock: src/hot-state/contract/clock-steps.contract.ts.

const dayMs = 24 * 60 * 60 * 1000;
const steps = [
  ['forward', 2 * dayMs],
  ['back', -2 * dayMs],
] as const;
const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const opening = 100_000_000_000n;
const soon = { timeout: 20_000, interval: 100 };

let folder: string;
let simulator: Simulator;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-clock-'));
  simulator = await startSimulator();
});

afterAll(async () => {
  await simulator.close();
  await rm(folder, { recursive: true });
});

/** Its prices are in force for three days by now: one whose clock is before that has none. */
async function prepare(gateway: TestGateway, clockFile: string): Promise<void> {
  await stepClock(clockFile, -3 * dayMs);
  const model = (name: string, directives: string) =>
    addModel(gateway, name, { baseUrl: simulator.url, upstreamModel: `sim?ttfb_ms=0&${directives}` });
  await model('quick', 'tokens_per_second=0&tokens=20');
  await model('running', 'tokens_per_second=20&tokens=60');
  await model('longer', 'tokens_per_second=20&tokens=240');
  await stepClock(clockFile, 0);
}

async function begin(gateway: TestGateway, { apiKey }: TestTenant, model: string, stream: boolean) {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ model, messages, stream }),
  });
  const told = response.text().then(
    (text): Told => ({
      status: response.status,
      code: response.status === 200 ? null : JSON.parse(text).error.code,
      isServed: response.status === 200 && (!stream || text.trimEnd().endsWith('data: [DONE]')),
      transactionId: response.headers.get('x-billing-transaction-id'),
      amount: null,
    }),
  );
  return { told };
}

const ask = async (gateway: TestGateway, tenant: TestTenant) =>
  await (await begin(gateway, tenant, 'quick', false)).told;

describe('on Postgres and Redis', () => {
  let postgres: PostgresService;
  let redis: RedisServer;
  let fleet: Fleet;
  let databaseUrl: string;
  let clockFile: string;

  beforeAll(async () => {
    clockFile = join(folder, 'fleet');
    postgres = await startPostgres();
    redis = await startRedis();
    databaseUrl = (await createDatabase(postgres.url)).url;
    await makeStepping(databaseUrl);
    const redisEnv = { REDIS_URL: redis.url };
    fleet = await startFleet({
      gateways: 1,
      databaseUrl,
      redisEnv: { ...redisEnv, ...steppedBy(clockFile) },
      redisAddress: { kind: 'single', url: redis.url },
    });
    await prepare(fleet.gateways[0]!, clockFile);
  });

  afterEach(async () => {
    await stepClock(clockFile, 0);
    await stepDatabase(databaseUrl, 0);
  });

  afterAll(async () => {
    await fleet.stop();
    await redis.stop();
    await postgres.stop();
  });

  /** A process of its own, which begins to look for what the dead have left open. */
  async function another(): Promise<TestGateway & AsyncDisposable> {
    const env = { DATABASE_URL: databaseUrl, REDIS_URL: redis.url };
    const gateway = await startGateway({ env, redoReceipts: false });
    return Object.assign(gateway, { [Symbol.asyncDispose]: () => gateway.stop() });
  }

  it.each(steps)(
    "a gateway's clock that steps %s changes neither what runs nor any limit",
    async (_, byMs) => {
      const [gateway] = fleet.gateways;
      await using other = await another();
      const tenant = await addTenant(gateway!, { balance: '100', rpm_limit: 6 });
      const running = await Promise.all([
        begin(gateway!, tenant, 'running', true),
        begin(other, tenant, 'running', true),
      ]);
      await stepClock(clockFile, byMs);
      const after: Told[] = [];
      for (let index = 0; index < 8; index++)
        after.push(await ask(index % 2 === 0 ? gateway! : other, tenant));
      expect(after.map(({ status }) => status)).toEqual([200, 200, 200, 200, 429, 429, 429, 429]);
      expect(new Set(after.slice(4).map(({ code }) => code))).toEqual(new Set(['RATE_LIMIT_RPM_EXCEEDED']));
      const streams = await Promise.all(running.map(({ told }) => told));
      expect(streams.every(({ isServed }) => isServed)).toBe(true);
      await expectOneTruth(fleet, [tenant], [...streams, ...after], opening);
      // Days are Redis' to tell: all of them are of one day, whichever gateway served them.
      const rows = await fleet.ledger.list({ tenantId: tenant.id as TenantId, type: 'CHARGE', limit: 100 });
      expect(rows).toHaveLength(6);
      expect(new Set(rows.map(({ periodDay }) => periodDay)).size).toBe(1);
    },
  );

  it("an API key expires by the gateway's clock, and is taken again when that is set right", async () => {
    const [gateway] = fleet.gateways;
    const tenant = await addTenant(gateway!);
    const expires_at = new Date(Date.now() + dayMs).toISOString();
    const { secret } = await gateway!.admin('POST', `/tenants/${tenant.id}/api-keys`, {
      name: 'short',
      expires_at,
    });
    const short = { id: tenant.id, apiKey: secret };
    expect((await ask(gateway!, short)).status).toBe(200);
    await stepClock(clockFile, 2 * dayMs);
    await expect.poll(async () => (await ask(gateway!, short)).code, soon).toBe('API_KEY_FORBIDDEN');
    await stepClock(clockFile, 0);
    await expect.poll(async () => (await ask(gateway!, short)).status, soon).toBe(200);
  });

  it('a model has no price for a gateway whose clock is before its first one, and it serves again when that is right', async () => {
    const [gateway] = fleet.gateways;
    const tenant = await addTenant(gateway!);
    await stepClock(clockFile, -5 * dayMs);
    expect(await ask(gateway!, tenant)).toMatchObject({ status: 404, code: 'MODEL_NOT_PRICED' });
    await stepClock(clockFile, 0);
    const served = await ask(gateway!, tenant);
    expect(served.status).toBe(200);
    await expectOneTruth(fleet, [tenant], [served], opening);
  });

  it.each(steps)("Postgres' clock that steps %s makes nobody settle what runs", async (_, byMs) => {
    const [gateway] = fleet.gateways;
    const tenant = await addTenant(gateway!, { balance: '100' });
    const running = await begin(gateway!, tenant, 'longer', true);
    await stepDatabase(databaseUrl, byMs);
    // Its first look for what has expired comes after five seconds, while the stream runs for twelve.
    await using other = await another();
    const after = [await ask(other, tenant), await ask(gateway!, tenant)];
    const stream = await running.told;
    expect(stream.isServed).toBe(true);
    await expectOneTruth(fleet, [tenant], [stream, ...after], opening);
    const charge = (await settledTransactionsOf(gateway!, tenant.id)).find(
      ({ id }) => id === stream.transactionId,
    );
    expect(charge).toMatchObject({ status: 'COMMITTED', usage_method: 'usage', output_tokens: 240 });
  });
});

describe('the embedded ledger', () => {
  let clockFile: string;
  let gateway: TestGateway;
  let tenant: TestTenant;

  beforeEach(async () => {
    clockFile = join(folder, 'embedded');
    gateway = await startGateway({ env: steppedBy(clockFile) });
    await prepare(gateway, clockFile);
    tenant = await addTenant(gateway, { balance: '100', rpm_limit: 4, daily_quota: 1000 });
  });
  afterEach(() => gateway.stop());

  const usedToday = async () => (await gateway.admin('GET', `/tenants/${tenant.id}`)).quota.daily_used;

  it('goes on when its clock steps back: what runs is complete, limits of the minute stay, the day goes on', async () => {
    const running = await begin(gateway, tenant, 'running', true);
    const before = [await ask(gateway, tenant), await ask(gateway, tenant)];
    await stepClock(clockFile, -2 * dayMs);
    const after = [await ask(gateway, tenant), await ask(gateway, tenant)];
    expect([...before, ...after].map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect((await running.told).isServed).toBe(true);
    const charges = (await settledTransactionsOf(gateway, tenant.id)).filter(({ type }) => type === 'CHARGE');
    expect(charges.map(({ status }) => status)).toEqual(Array(4).fill('COMMITTED'));
    expect(new Set(charges.map(({ period_day }) => period_day)).size).toBe(1);
  });

  it('is in another day when its clock steps forward, and what runs is of the day in which it began', async () => {
    const running = await begin(gateway, tenant, 'running', true);
    expect((await ask(gateway, tenant)).status).toBe(200);
    await stepClock(clockFile, 2 * dayMs);
    expect((await ask(gateway, tenant)).status).toBe(200);
    expect((await running.told).isServed).toBe(true);
    const charges = (await settledTransactionsOf(gateway, tenant.id)).filter(({ type }) => type === 'CHARGE');
    expect(charges.map(({ status }) => status)).toEqual(['COMMITTED', 'COMMITTED', 'COMMITTED']);
    const days = charges.map(({ period_day }) => period_day).sort();
    expect(days[0]).toBe(days[1]);
    expect(Date.parse(days[2]) - Date.parse(days[0])).toBe(2 * dayMs);
    expect(await usedToday()).toBe(1);
  });
});

/** Gives a database a `now()` of its own, which everything in it takes for the server's, so that it can step. */
async function makeStepping(url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  await administer(
    url,
    `CREATE TABLE clock (off interval NOT NULL);
     INSERT INTO clock VALUES ('0');
     CREATE FUNCTION now() RETURNS timestamptz STABLE LANGUAGE sql
       AS 'SELECT pg_catalog.now() + (SELECT off FROM public.clock)';
     ALTER DATABASE ${name} SET search_path = public, pg_catalog`,
  );
}

async function stepDatabase(url: string, byMs: number): Promise<void> {
  await administer(url, `UPDATE public.clock SET off = ${byMs} * interval '1 millisecond'`);
}
