import { systemClock } from '../src/domain/clock.ts';
import { createMemoryHotState } from '../src/hot-state/memory.ts';
import type { RedisClient } from '../src/hot-state/redis/connect.ts';
import { mulberry32, type Random } from '../src/simulator/random.ts';
import { median, rounded } from './figures.ts';
import {
  type Asked,
  atOnce,
  checksPerSecond,
  forEach,
  loadTenants,
  verifyNothingHeld,
} from './hot-state/checks.ts';
import { openRedisHotState, resetScriptTimes, scriptMicros } from './hot-state/redis.ts';
import { pinThisProcess } from './http/pinned.ts';
import type { Question } from './question.ts';
import { rotated } from './rounds.ts';

// How many requests a second can be admitted, in memory and in Redis, for one tenant and for a million? Against
// commands that do nothing, to the same Redis by the same client with as many at once. The client has the gateway's
// core, and Redis the other.

type Place = 'memory' | 'redis' | 'redis, PING';

interface Way {
  readonly place: Place;
  readonly tenants: number;
  measure(random: Random): Promise<Round>;
  verify(random: Random): Promise<readonly string[]>;
}

interface Round {
  readonly perSecond: number;
  /** Of the script itself, in Redis; null where there is none. */
  readonly scriptMicros: number | null;
}

const pings = 20_000;

async function inMemory(tenants: number): Promise<Way> {
  const hotState = createMemoryHotState({ clock: systemClock, maxTenants: tenants });
  await loadTenants(hotState, tenants);
  const asked: Asked = { hotState, tenants };
  return {
    place: 'memory',
    tenants,
    measure: async (random) => ({ perSecond: await checksPerSecond(asked, random), scriptMicros: null }),
    verify: (random) => verifyNothingHeld(asked, random),
  };
}

async function inRedis(tenants: number, undo: AsyncDisposableStack) {
  const { client, hotState } = await openRedisHotState(undo);
  await loadTenants(hotState, tenants);
  const asked: Asked = { hotState, tenants };
  const way: Way = {
    place: 'redis',
    tenants,
    measure: async (random) => {
      let micros = Number.NaN;
      const perSecond = await checksPerSecond(asked, random, {
        before: () => resetScriptTimes(client),
        after: async () => {
          micros = await scriptMicros(client);
        },
      });
      return { perSecond, scriptMicros: micros };
    },
    verify: (random) => verifyNothingHeld(asked, random),
  };
  return { way, client };
}

function pingsTo(client: RedisClient, tenants: number): Way {
  const all = Array.from({ length: pings }, (_, index) => index);
  return {
    place: 'redis, PING',
    tenants,
    measure: async () => {
      const startedAtMs = performance.now();
      await forEach(all, atOnce, () => client.call('PING'));
      return { perSecond: (pings * 1_000) / (performance.now() - startedAtMs), scriptMicros: null };
    },
    verify: async () => [],
  };
}

export const quota: Question = async ({ rounds, tenants: many }) => {
  await using undo = new AsyncDisposableStack();
  await pinThisProcess('gateway');
  const random = mulberry32(20_261_129);
  const one = await inRedis(1, undo);
  const million = await inRedis(many, undo);
  const ways = [await inMemory(1), await inMemory(many), one.way, million.way, pingsTo(one.client, 1)];
  console.error(`${many} tenants are loaded, in memory and in Redis`);
  const measured = new Map<Way, Round[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < rounds; round++) {
    for (const way of rotated(ways, round)) measured.get(way)?.push(await way.measure(random));
    console.error(`round ${round + 1} of ${rounds}`);
  }
  const figures = [...measured].map(([{ place, tenants }, done]) => {
    const micros = done.flatMap(({ scriptMicros }) => (scriptMicros === null ? [] : [scriptMicros]));
    return {
      'hot state': place,
      tenants,
      'checks a second': rounded(median(done.map(({ perSecond }) => perSecond))),
      'in Redis, µs': micros.length === 0 ? null : rounded(median(micros)),
    };
  });
  const failures = await Promise.all(ways.map((way) => way.verify(random)));
  return {
    table: figures,
    result: {
      question: 'quota',
      atOnce,
      figures,
      rounds: [...measured].map(([{ place, tenants }, done]) => ({ place, tenants, done })),
    },
    failures: failures.flat(),
  };
};
