import { beforeEach, expect, it } from 'vitest';
import { Fault } from '../domain/errors.ts';
import { createHealthReporter, type Part } from './health.ts';

let nowMs: number;
const clock = { now: () => nowMs, monotonic: () => nowMs };
beforeEach(() => {
  nowMs = 1_000;
});

const well: Part = { name: 'well', ask: async () => null };
const limping: Part = { name: 'limping', ask: async () => 'set it to noeviction.' };
const away: Part = {
  name: 'away',
  ask: async () => {
    throw new Error('connect ECONNREFUSED');
  },
};

it.each([
  ['healthy', [well, well, well]],
  ['healthy', [well, null, null]],
  ['degraded', [well, limping, well]],
  ['degraded', [well, well, limping]],
  ['unhealthy', [away, limping, well]],
  ['unhealthy', [well, away, limping]],
] as const)('is %s as its worst part is', async (status, [database, redis, luaScripts]) => {
  const report = await createHealthReporter({ clock, database, redis, luaScripts })();
  expect(report.status).toBe(status);
});

it('says of each part how long it took, and what is wrong and to be done', async () => {
  const slow = async () => {
    nowMs += 12.5;
    return null;
  };
  const parts = { database: { name: 'postgres', ask: slow }, redis: limping, luaScripts: away };
  expect(await createHealthReporter({ clock, ...parts })()).toEqual({
    status: 'unhealthy',
    database: { status: 'healthy', latencyMs: 12.5, detail: 'postgres' },
    redis: { status: 'degraded', latencyMs: 0, detail: 'limping: set it to noeviction.' },
    luaScripts: { status: 'unhealthy', latencyMs: null, detail: 'away: connect ECONNREFUSED' },
  });
});

it("tells what the engine said, where a fault's own words are meant for clients, and no address of a network", async () => {
  const full = Object.assign(new Error('could not extend file: No space left on device'), {
    sqlState: '53100',
  });
  const failing = (cause: Error): Part => ({
    name: 'ledger',
    ask: async () => {
      throw new Fault('LEDGER_UNAVAILABLE', 'The ledger is not available.', { cause });
    },
  });
  const detailOf = async (cause: Error) =>
    (await createHealthReporter({ clock, database: failing(cause), redis: null, luaScripts: null })())
      .database.detail;
  expect(await detailOf(full)).toBe('ledger: could not extend file: No space left on device');
  expect(await detailOf(new Fault('LEDGER_UNAVAILABLE', "can't be opened"))).toBe("ledger: can't be opened");
  expect(await detailOf(new Error('connect ECONNREFUSED 10.0.0.1:5432'))).toBe(
    'ledger: The ledger is not available.',
  );
});

it('gives up a part that never answers', async () => {
  const silent: Part = { name: 'redis', ask: () => new Promise(() => undefined) };
  const report = await createHealthReporter({ clock, database: well, redis: silent, luaScripts: null })();
  expect(report.redis).toMatchObject({ status: 'unhealthy', detail: 'redis: no answer within 1500 ms' });
});

it('asks twice a second at most', async () => {
  let asked = 0;
  const counted: Part = {
    name: 'counted',
    ask: async () => {
      asked++;
      return null;
    },
  };
  const report = createHealthReporter({ clock, database: counted, redis: null, luaScripts: null });
  for (const atMs of [0, 100, 400, 501]) {
    nowMs = 1_000 + atMs;
    await report();
  }
  expect(asked).toBe(2);
});
