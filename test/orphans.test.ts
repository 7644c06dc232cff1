import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantId } from '../src/domain/ids.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { type Fleet, startFleet } from './support/fleet.ts';
import { addModel, addTenant, settledTransactionsOf, type TestTenant } from './support/gateway.ts';
import { createDatabase, type PostgresService, startPostgres } from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';

// What a gateway that was killed has left open is settled by the one that lives, to the last checkpoint, once; one that
// only stood still finds what it had open settled, and delivers no more of it.

let postgres: PostgresService;
let redis: RedisServer;
let simulator: Simulator;
let fleet: Fleet;
let tenant: TestTenant;

const standsStillMs = 40_000;

beforeAll(async () => {
  postgres = await startPostgres();
  redis = await startRedis();
  simulator = await startSimulator();
  const { url } = await createDatabase(postgres.url);
  fleet = await startFleet({
    gateways: 3,
    databaseUrl: url,
    redisEnv: { REDIS_URL: redis.url },
    redisAddress: { kind: 'single', url: redis.url },
  });
  await addModel(fleet.gateways[0]!, 'slow', {
    baseUrl: simulator.url,
    upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=20&tokens=4000',
  });
  tenant = await addTenant(fleet.gateways[0]!, { balance: '100' });
});

afterAll(async () => {
  await fleet.stop();
  await simulator.close();
  await redis.stop();
  await postgres.stop();
});

async function stream(index: number) {
  const response = await fetch(`${fleet.gateways[index]!.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tenant.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ model: 'slow', stream: true, max_tokens: 4000 },
      messages: [{ role: 'user', content: 'Tell me of the sea.' }],
    }),
  });
  const pieces: string[] = [];
  const ended = (async () => {
    const decoder = new TextDecoder();
    try {
      for await (const bytes of response.body!) pieces.push(decoder.decode(bytes, { stream: true }));
    } catch {
      // It broke with its gateway.
    }
    return pieces.join('');
  })();
  return { id: response.headers.get('x-billing-transaction-id'), ended, text: () => pieces.join('') };
}

const eventsOf = (text: string) => text.split('"content"').length - 1;
const held = async () => await fleet.hotState.look(tenant.id as TenantId);

it('of a gateway that was killed is settled by another, once, and its money is free again', async () => {
  const streams = await Promise.all(Array.from({ length: 5 }, () => stream(1)));
  await sleep(4_000);
  await fleet.gateways[1]!.kill();
  await Promise.all(streams.map(({ ended }) => ended));
  const rows = await settledTransactionsOf(fleet.gateways[0]!, tenant.id);
  for (const { id, text } of streams) {
    const row = rows.find((one) => one.id === id);
    expect(row).toMatchObject({ status: 'COMMITTED', usage_method: 'tiktoken' });
    expect(row?.output_tokens).toBeGreaterThan(0);
    // An event of the simulator is a few tokens.
    expect(row?.output_tokens).toBeLessThanOrEqual(10 * eventsOf(text()));
  }
  await expect.poll(held, { timeout: 20_000 }).toMatchObject({ held: 0n, openHolds: 0 });
});

it('of a gateway that stood still is settled by another, and it delivers no more of it when it goes on', {
  timeout: 150_000,
}, async () => {
  const { id, ended, text } = await stream(2);
  await sleep(3_000);
  const still = fleet.gateways[2]!;
  still.process.kill('SIGSTOP');
  try {
    await sleep(500);
    const before = text().length;
    await sleep(standsStillMs);
    const rows = await settledTransactionsOf(fleet.gateways[0]!, tenant.id);
    const charged = rows.find((one) => one.id === id);
    expect(charged).toMatchObject({ status: 'COMMITTED' });
    still.process.kill('SIGCONT');
    const all = await ended;
    expect(all).not.toContain('[DONE]');
    expect(all.slice(before)).toContain('"code":"LEDGER_UNAVAILABLE"');
    expect(all.slice(before)).not.toContain('"content"');
    expect(await fleet.ledger.findById(charged!.id)).toMatchObject({ status: 'COMMITTED' });
    const after = await settledTransactionsOf(fleet.gateways[0]!, tenant.id);
    expect(after.find((one) => one.id === id)).toEqual(charged);
    // It is alive again, as another instance.
    await expect.poll(async () => (await stream(2)).id, { timeout: 20_000 }).not.toBeNull();
  } finally {
    still.process.kill('SIGCONT');
  }
});
