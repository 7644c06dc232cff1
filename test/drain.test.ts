import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { addModel, addTenant, startGateway, type TestTenant, transactionsOf } from './support/gateway.ts';
import { createDatabase, type PostgresService, startPostgres } from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';

// SIGTERM while streams run: those that end within the grace are complete, the others are told so; all are charged,
// and what could not be settled is left to whoever lives.

let postgres: PostgresService;
let redis: RedisServer;
let simulator: Simulator;
let env: Record<string, string>;

beforeAll(async () => {
  postgres = await startPostgres();
  redis = await startRedis();
  simulator = await startSimulator();
  const { url } = await createDatabase(postgres.url);
  env = { DATABASE_URL: url, REDIS_URL: redis.url, DRAIN_SECONDS: '2' };
});

afterAll(async () => {
  await simulator.close();
  await redis.stop();
  await postgres.stop();
});

type Gateway = Awaited<ReturnType<typeof startGateway>>;

async function begin(gateway: Gateway, model: string, { apiKey }: TestTenant) {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      messages: [{ role: 'user', content: 'Tell me of the sea.' }],
      stream: true,
    }),
  });
  return { id: response.headers.get('x-billing-transaction-id'), text: response.text().catch(() => 'cut') };
}

async function addModels(gateway: Gateway): Promise<void> {
  for (const [model, tokens] of [
    ['short', 40],
    ['endless', 4000],
  ] as const) {
    const upstreamModel = `sim?ttfb_ms=0&tokens_per_second=40&tokens=${tokens}`;
    await addModel(gateway, model, { baseUrl: simulator.url, upstreamModel });
  }
}

it('lets streams end within the grace, tells the others that it stops, and leaves nothing open', async () => {
  const [gateway, other] = await Promise.all([startGateway({ env }), startGateway({ env })]);
  await addModels(gateway);
  const tenant = await addTenant(gateway);
  const short = await begin(gateway, 'short', tenant);
  const endless = await begin(gateway, 'endless', tenant);
  await sleep(200);
  await gateway.stop();
  expect(await short.text).toContain('[DONE]');
  const text = await endless.text;
  expect(text).toContain('"code":"OVERLOADED"');
  expect(text).not.toContain('[DONE]');
  const rows = new Map((await transactionsOf(other, tenant.id)).map((row) => [row.id, row]));
  expect(rows.get(short.id)).toMatchObject({ status: 'COMMITTED', output_tokens: 40 });
  expect(rows.get(endless.id)).toMatchObject({ status: 'COMMITTED', usage_method: 'tiktoken' });
  expect(rows.get(endless.id)?.output_tokens).toBeGreaterThan(40);
  expect((await other.admin('GET', `/tenants/${tenant.id}`)).quota.held).toBe('0');
  await other.stop();
});
