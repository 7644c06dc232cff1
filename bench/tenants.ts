import { mulberry32, type Random } from '../src/simulator/random.ts';
import { median, rounded } from './figures.ts';
import {
  type Asked,
  checksPerSecond,
  loadTenants,
  request,
  tenantAt,
  verifyNothingHeld,
} from './hot-state/checks.ts';
import {
  openRedisHotState,
  type RedisHotState,
  resetScriptTimes,
  scriptMicros,
  usedBytes,
} from './hot-state/redis.ts';
import { pinThisProcess } from './http/pinned.ts';
import type { Question } from './question.ts';

// What does a tenant with every limit cost in Redis, and is `quota_check` slower with a million of them than with a
// thousand? Two servers of one run, each filled with its number of tenants and then asked in turns.

const few = 1_000;
const activeTenants = 1_000;

interface Filled extends Asked, RedisHotState {
  /** Bytes of memory that each tenant takes: idle, and with one open request and its minutes. */
  readonly idleBytes: number;
  readonly activeBytes: number;
}

async function fill(tenants: number, undo: AsyncDisposableStack): Promise<Filled> {
  const opened = await openRedisHotState(undo);
  const { client, hotState } = opened;
  const empty = await usedBytes(client);
  await loadTenants(hotState, tenants);
  const idle = await usedBytes(client);
  const open = Array.from({ length: activeTenants }, (_, index) => request(tenantAt(index)));
  await Promise.all(open.map((hold) => hotState.check(hold)));
  const active = await usedBytes(client);
  await Promise.all(open.map((hold) => hotState.release(hold)));
  console.error(`${tenants} tenants are loaded`);
  return {
    ...opened,
    tenants,
    idleBytes: Math.round((idle - empty) / tenants),
    activeBytes: Math.round((idle - empty) / tenants + (active - idle) / activeTenants),
  };
}

interface Round {
  readonly perSecond: number;
  /** Of the script itself, in Redis. */
  readonly scriptMicros: number;
}

async function measure(filled: Filled, random: Random): Promise<Round> {
  let micros = Number.NaN;
  const perSecond = await checksPerSecond(filled, random, {
    before: () => resetScriptTimes(filled.client),
    after: async () => {
      micros = await scriptMicros(filled.client);
    },
  });
  return { perSecond: rounded(perSecond), scriptMicros: rounded(micros) };
}

export const tenants: Question = async ({ rounds, tenants: many }) => {
  await using undo = new AsyncDisposableStack();
  await pinThisProcess('gateway');
  const random = mulberry32(20_261_124);
  const servers = [await fill(few, undo), await fill(many, undo)];
  const measured = new Map<Filled, Round[]>(servers.map((server) => [server, []]));
  for (let round = 1; round <= rounds; round++) {
    // In turns, so that both meet the same weather.
    const order = round % 2 === 0 ? servers : servers.toReversed();
    for (const server of order) measured.get(server)?.push(await measure(server, random));
    console.error(`round ${round} of ${rounds}`);
  }
  const figures = [...measured].map(([{ tenants, idleBytes, activeBytes }, done]) => ({
    tenants,
    bytes_idle: idleBytes,
    bytes_active: activeBytes,
    checks_per_second: rounded(median(done.map(({ perSecond }) => perSecond))),
    script_micros: rounded(median(done.map(({ scriptMicros }) => scriptMicros))),
    rounds: done,
  }));
  const [small, large] = figures;
  const times = rounded((large?.script_micros ?? Number.NaN) / (small?.script_micros ?? Number.NaN));
  console.error(`quota_check takes ${times} times as long with ${many} tenants as with ${few}`);
  const failures = (await Promise.all(servers.map((server) => verifyNothingHeld(server, random)))).flat();
  return {
    table: figures.map(({ rounds: _, ...row }) => row),
    result: { benchmark: 'tenants', times, figures },
    failures,
  };
};
