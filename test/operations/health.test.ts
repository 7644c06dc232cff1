import { afterEach, beforeEach, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { createDatabase, type PostgresService, startPostgres } from '../support/services/postgres.ts';
import { type RedisServer, startRedis } from '../support/services/redis.ts';

let postgres: PostgresService;
let redis: RedisServer;
let gateway: TestGateway;

beforeEach(async () => {
  postgres = await startPostgres(['fsync=on']);
  redis = await startRedis();
  const { url } = await createDatabase(postgres.url);
  gateway = await startGateway({ env: { DATABASE_URL: url, REDIS_URL: redis.url }, redoReceipts: false });
});
afterEach(async () => {
  await gateway.stop();
  await redis.stop();
  await postgres.stop();
});

/** As a prober asks, again and again. @returns milliseconds until it was told */
async function untilTold(part: 'database' | 'redis', status: 'healthy' | 'unhealthy'): Promise<number> {
  const startedAtMs = performance.now();
  const ask = async () => {
    const [whole, ready] = await Promise.all(
      ['/health', '/health/ready'].map((path) => fetch(`${gateway.url}${path}`)),
    );
    const report = (await whole!.json()) as Record<string, { status: string }>;
    return { part: report[part]?.status, answer: whole?.status, ready: ready?.status };
  };
  const code = status === 'healthy' ? 200 : 503;
  await expect
    .poll(ask, { timeout: 60_000, interval: 100 })
    .toEqual({ part: status, answer: code, ready: code });
  return Math.round(performance.now() - startedAtMs);
}

it.each([
  ['a Redis that has stopped', 'redis', () => redis.crash(), () => redis.restart()],
  ['a Redis that is frozen', 'redis', () => redis.freeze(), () => redis.thaw()],
  ['a Postgres that has stopped', 'database', () => postgres.crash(), () => postgres.restart()],
  ['a Postgres that is frozen', 'database', () => postgres.freeze(), () => postgres.thaw()],
] as const)(
  'tells of %s, and when it is back, and lives on',
  async (what, part, stop, start) => {
    await stop();
    const [down, live] = await Promise.all([
      untilTold(part, 'unhealthy'),
      fetch(`${gateway.url}/health/live`).then(({ status }) => status),
    ]);
    // Whoever would restart it for that made it worse.
    expect(live).toBe(200);
    await start();
    const up = await untilTold(part, 'healthy');
    console.info(`/health tells of ${what} after ${down} ms, and that it is back after ${up} ms`);
  },
  180_000,
);
