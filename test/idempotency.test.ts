import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../src/domain/ids.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { type Fleet, startFleet } from './support/fleet.ts';
import { type Answer, addModel, addTenant, read, type TestTenant } from './support/gateway.ts';
import { askRedis } from './support/services/ask-redis.ts';
import { createDatabase, type PostgresService, startPostgres } from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';

// One Idempotency-Key on two gateways: one request runs, one pays, and whoever lost the answer can ask for it.

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const soon = { timeout: 20_000, interval: 50 };

let postgres: PostgresService;
let redis: RedisServer;
let simulator: Simulator;
let fleet: Fleet;
let tenant: TestTenant;

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
  const model = (name: string, directives: string) =>
    addModel(fleet.gateways[0]!, name, { baseUrl: simulator.url, upstreamModel: `sim?${directives}` });
  await model('quick', 'ttfb_ms=20&tokens_per_second=0&tokens=20');
  await model('slow', 'ttfb_ms=0&tokens_per_second=20&tokens=4000');
  await model('refused', 'fault=refuse_500');
});

beforeEach(async () => {
  tenant = await addTenant(fleet.gateways[0]!);
});

afterAll(async () => {
  await fleet.stop();
  await simulator.close();
  await redis.stop();
  await postgres.stop();
});

/** The turn says which gateway is asked. */
function ask(key: string, turn = 0, changes: object = {}): Promise<Answer> {
  const body = { model: 'quick', messages, ...changes };
  const headers = { authorization: `Bearer ${tenant.apiKey}`, 'idempotency-key': key };
  return fleet.gateways[turn % 2]!.call('/v1/chat/completions', body, headers);
}

async function find(
  traceId: string,
  headers: Record<string, string> = { authorization: `Bearer ${tenant.apiKey}` },
  turn = 0,
): Promise<Answer> {
  const path = `/v1/billing/transactions/${encodeURIComponent(traceId)}`;
  return await read(await fetch(`${fleet.gateways[turn % 2]!.url}${path}`, { headers }));
}

/** A stream that runs until it is hung up. */
async function openStream(key: string) {
  const controller = new AbortController();
  const response = await fetch(`${fleet.gateways[0]!.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tenant.apiKey}`, 'idempotency-key': key },
    body: JSON.stringify({ model: 'slow', messages, stream: true }),
    signal: controller.signal,
  });
  expect(response.status).toBe(200);
  return {
    transactionId: response.headers.get('x-billing-transaction-id') ?? '',
    hangUp: () => controller.abort(),
  };
}

const rows = async () =>
  (await fleet.ledger.list({ tenantId: tenant.id as TenantId, type: 'CHARGE', limit: 100 })).map(
    ({ id, status }) => ({ id, status }),
  );

const expectNothingHeld = () =>
  expect.poll(() => fleet.hotState.look(tenant.id as TenantId), soon).toMatchObject({ held: 0n });

function expectRefused(answer: Answer, status: number, code: string, transactionId: string): void {
  expect(answer.status).toBe(status);
  expect(answer.json.error).toMatchObject({ code, message: expect.stringContaining(transactionId) });
  expect(answer.headers.get('x-should-retry')).toBe('false');
}

describe('an Idempotency-Key that comes to two gateways', () => {
  it('is 409 with its transaction while the first runs and after, 422 with another body, and runs nothing', async () => {
    const open = await openStream('stream');
    const asked = simulator.requests.count;
    const repeat = { model: 'slow', stream: true };
    for (const turn of [0, 1]) {
      expectRefused(await ask('stream', turn, repeat), 409, 'REQUEST_IN_PROGRESS', open.transactionId);
      expectRefused(await ask('stream', turn), 422, 'IDEMPOTENCY_CONFLICT', open.transactionId);
    }
    open.hangUp();
    await expect.poll(rows, soon).toEqual([{ id: open.transactionId, status: 'COMMITTED' }]);
    for (const turn of [0, 1]) {
      expectRefused(await ask('stream', turn, repeat), 409, 'REQUEST_ALREADY_BILLED', open.transactionId);
      expectRefused(await ask('stream', turn), 422, 'IDEMPOTENCY_CONFLICT', open.transactionId);
    }
    expect(simulator.requests.count).toBe(asked);
    expect(await rows()).toHaveLength(1);
    await expectNothingHeld();
  });

  it('is used up by a request that was not charged, which the answer says', async () => {
    expect((await ask('refused', 0, { model: 'refused' })).status).toBe(500);
    await expect.poll(rows, soon).toMatchObject([{ status: 'VOIDED' }]);
    const asked = simulator.requests.count;
    const [row] = await rows();
    const again = await ask('refused', 1, { model: 'refused' });
    expectRefused(again, 409, 'REQUEST_ALREADY_BILLED', row!.id);
    expect(again.json.error.message).toContain('was not charged');
    expect(simulator.requests.count).toBe(asked);
  });

  const raceOfMany = async (key: string) => {
    const asked = simulator.requests.count;
    const answers = await Promise.all(Array.from({ length: 40 }, (_, turn) => ask(key, turn)));
    const served = answers.filter(({ status }) => status === 200);
    return { answers, served, executed: simulator.requests.count - asked };
  };

  it('runs once when many send it at the same moment, and every other is told not to retry', async () => {
    for (let race = 0; race < 5; race++) {
      const { answers, served, executed } = await raceOfMany(`race-${race}`);
      expect(served).toHaveLength(1);
      expect(executed).toBe(1);
      for (const { status, json, headers } of answers.filter((answer) => answer.status !== 200)) {
        expect(status).toBe(409);
        expect(json.error.code).toMatch(/^REQUEST_(IN_PROGRESS|ALREADY_BILLED)$/);
        expect(headers.get('x-should-retry')).toBe('false');
      }
      expect(await rows()).toHaveLength(race + 1);
    }
    await expectNothingHeld();
  });

  it('runs once at most while hot state is flushed again and again', async () => {
    let racing = true;
    const untilMs = performance.now() + 30_000;
    const flushing = (async () => {
      while (racing && performance.now() < untilMs) await askRedis(redis, (client) => client.flushall());
    })();
    for (let race = 0; race < 5; race++) {
      const { served, executed } = await raceOfMany(`flushed-${race}`);
      expect(executed).toBeLessThanOrEqual(1);
      expect(served.length).toBeLessThanOrEqual(executed);
    }
    racing = false;
    await flushing;
    const settled = async () => (await rows()).every(({ status }) => status !== 'PENDING');
    await expect.poll(settled, soon).toBe(true);
    const all = await rows();
    expect(all.length).toBeLessThanOrEqual(5);
  });
});

describe('GET /v1/billing/transactions/{trace id}', () => {
  it('tells what became of a request whose answer was lost: PENDING while it runs, then what it cost', async () => {
    const open = await openStream('lost');
    const running = await find('lost', undefined, 1);
    expect(running.status).toBe(200);
    expect(running.json).toMatchObject({
      id: open.transactionId,
      trace_id: 'lost',
      status: 'PENDING',
      amount: null,
      hold_amount: expect.stringMatching(/^0\.\d+$/),
    });
    open.hangUp();
    await expect.poll(async () => (await find('lost')).json.status, soon).toBe('COMMITTED');
    const { json: told } = await find('lost');
    const known = await fleet.gateways[0]!.admin('GET', `/transactions/${open.transactionId}`);
    const { receipt: _, cost_amount, owner, checkpoint, ...same } = known;
    expect(told).toEqual(same);
    expect(told).toMatchObject({ amount: expect.any(String), balance_after: expect.any(String) });
  });

  it('takes the API key from every header that clients send it in, and the id that we gave', async () => {
    const { headers, json } = await fleet.gateways[0]!.call(
      '/v1/chat/completions',
      { model: 'quick', messages },
      { authorization: `Bearer ${tenant.apiKey}` },
    );
    expect(json.choices).toHaveLength(1);
    const traceId = headers.get('x-request-id')!;
    for (const secret of [
      { authorization: `Bearer ${tenant.apiKey}` },
      { 'x-api-key': tenant.apiKey },
      { 'x-goog-api-key': tenant.apiKey },
    ]) {
      const { status, json } = await find(traceId, secret);
      expect(status).toBe(200);
      expect(json).toMatchObject({
        id: headers.get('x-billing-transaction-id'),
        amount: headers.get('x-billing-amount'),
        balance_after: headers.get('x-billing-balance'),
      });
    }
    expect(await find(traceId, {})).toMatchObject({
      status: 401,
      json: { error: { code: 'API_KEY_INVALID' } },
    });
    expect((await find(traceId, { authorization: 'Bearer tg_unknown' })).status).toBe(401);
  });

  it.each([
    ['slashes', 'orders/2024/17'],
    ['what begins a query or a fragment', 'a?b=c#d&e'],
    ['what looks percent-encoded', '%41%2F%'],
    ['a way out of its folder', '../../admin/v1/tenants'],
    ['what routers read', '*/:generateContent;v=1'],
    ['every other sign', '~!@$^*()[]{}<>|\\"\'`,'],
    ['255 characters that all have to be encoded', `${'%/'.repeat(127)}%`],
  ])('knows an Idempotency-Key with %s', async (_, key) => {
    const { status, headers } = await ask(key);
    expect(status).toBe(200);
    const found = await find(key, undefined, 1);
    expect(found.status).toBe(200);
    expect(found.json).toMatchObject({ trace_id: key, id: headers.get('x-billing-transaction-id') });
  });

  it("answers another tenant's trace id exactly as one that nobody used", async () => {
    await ask('theirs');
    const other = await addTenant(fleet.gateways[0]!);
    const headers = { authorization: `Bearer ${other.apiKey}` };
    const [theirs, nobodys] = [await find('theirs', headers), await find('nobodys', headers)];
    for (const { status, text, headers } of [theirs, nobodys]) {
      expect(status).toBe(404);
      expect(text).toBe(nobodys.text);
      expect(headers.get('x-should-retry')).toBe('false');
      expect([...headers.keys()].sort()).toEqual([...nobodys.headers.keys()].sort());
    }
    expect(theirs.json.error).toMatchObject({ code: 'NOT_FOUND', type: 'invalid_request_error' });
  });

  it.each([
    ['nothing', ''],
    ['256 characters', 'x'.repeat(256)],
    ['3000 characters', 'x'.repeat(3000)],
    ['a NUL', 'nul\0'],
    ['a tab', 'tab\t'],
    ['a letter beyond ASCII', 'ä'],
    ['an emoji', '\u{1f600}'],
  ])('answers 404 to what no trace id can be: %s', async (_, traceId) => {
    expect(await find(traceId)).toMatchObject({ status: 404, json: { error: { code: 'NOT_FOUND' } } });
  });

  it('answers 400 to a path that no one can decode', async () => {
    const url = `${fleet.gateways[0]!.url}/v1/billing/transactions/%E0%A4%A`;
    const answer = await read(await fetch(url, { headers: { 'x-api-key': tenant.apiKey } }));
    expect(answer).toMatchObject({ status: 400, json: { error: { code: 'REQUEST_INVALID' } } });
  });

  it('answers 503 while the ledger is away, which alone knows, and again after', async () => {
    const key = `kept-${randomUUID()}`;
    await ask(key);
    await postgres.crash();
    const away = await find(key);
    expect(away.status).toBe(503);
    expect(away.json.error).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await postgres.restart();
    await expect.poll(async () => (await find(key)).json.status, soon).toBe('COMMITTED');
  });
});
