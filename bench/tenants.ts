import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../src/domain/ids.ts';
import { nano } from '../src/domain/money.ts';
import type { HotState, QuotaCheck } from '../src/hot-state/hot-state.ts';
import { connectRedis, type RedisClient } from '../src/hot-state/redis/connect.ts';
import { createRedisHotState } from '../src/hot-state/redis/redis.ts';
import { loadScripts } from '../src/hot-state/redis/scripts.ts';
import { below, mulberry32, type Random } from '../src/simulator/random.ts';
import { loadTenant, quotaProjection } from '../test/support/hot-state.ts';
import { startRedis } from '../test/support/services/redis.ts';
import { median, rounded } from './figures.ts';
import type { Question } from './question.ts';

// What does a tenant with every limit cost in Redis, and is `quota_check` slower with a million of them than with a
// thousand? Two servers of one run, each filled with its number of tenants and then asked in turns.

const few = 1_000;
const atOnce = 64;
const loadedAtOnce = 1_000;
const checksOfARound = 20_000;
const activeTenants = 1_000;

interface Filled {
  readonly tenants: number;
  readonly client: RedisClient;
  readonly hotState: HotState;
  /** Bytes of memory that each tenant takes: idle, and with one open request and its minutes. */
  readonly idleBytes: number;
  readonly activeBytes: number;
}

const tenantAt = (index: number) => `tenant-${index}` as TenantId;

let names = 0;

function request(tenantId: TenantId): QuotaCheck {
  const name = `01890a5d-ac96-774b-bcce-${String(names++).padStart(12, '0')}`;
  return {
    tenantId,
    apiKeyId: `key-of-${tenantId}` as ApiKeyId,
    traceId: name as TraceId,
    holder: name as TransactionId,
    holdAmount: nano(1_500_000n),
    tokens: 1_000,
    limits: {
      maxOpenRequests: 1_000,
      apiKey: { rpmLimit: 10_000, tpmLimit: 10_000_000, maxOpenRequests: 1_000 },
    },
    observe: false,
  };
}

const limits = {
  balance: nano(100_000_000_000n),
  dailyQuota: 1_000_000,
  monthlyQuota: 30_000_000,
  rpmLimit: 100_000,
  tpmLimit: 100_000_000,
};

/** So many at a time. */
async function forEach<Item>(all: readonly Item[], atATime: number, act: (item: Item) => Promise<unknown>) {
  for (let from = 0; from < all.length; from += atATime)
    await Promise.all(all.slice(from, from + atATime).map(act));
}

async function usedBytes(client: RedisClient): Promise<number> {
  const info = String(await client.call('INFO', 'memory'));
  return Number(/used_memory:(\d+)/.exec(info)?.[1]);
}

const failOnFault = (what: unknown, error?: unknown) => {
  throw new Error(String(what), { cause: error });
};

async function fill(tenants: number, undo: AsyncDisposableStack): Promise<Filled> {
  const server = await startRedis();
  undo.defer(() => server.stop());
  const client = await connectRedis({ address: { kind: 'single', url: server.url }, onError: failOnFault });
  undo.defer(() => client.disconnect());
  const hotState = createRedisHotState({ run: await loadScripts(client), onFault: failOnFault });
  const empty = await usedBytes(client);
  const all = Array.from({ length: tenants }, (_, index) => tenantAt(index));
  await forEach(all, loadedAtOnce, (tenantId) =>
    loadTenant(hotState, { projection: quotaProjection({ ...limits, tenantId }) }),
  );
  const idle = await usedBytes(client);
  const open = Array.from({ length: activeTenants }, (_, index) => request(tenantAt(index)));
  await Promise.all(open.map((hold) => hotState.check(hold)));
  const active = await usedBytes(client);
  await Promise.all(open.map((hold) => hotState.release(hold)));
  console.error(`${tenants} tenants are loaded`);
  return {
    tenants,
    client,
    hotState,
    idleBytes: Math.round((idle - empty) / tenants),
    activeBytes: Math.round((idle - empty) / tenants + (active - idle) / activeTenants),
  };
}

interface Round {
  readonly perSecond: number;
  /** Of the script itself, in Redis. */
  readonly scriptMicros: number;
}

/** Checks for tenants at random; what they hold is given back afterwards, which isn't measured. */
async function measure({ client, hotState, tenants }: Filled, random: Random): Promise<Round> {
  const all = Array.from({ length: checksOfARound }, () => request(tenantAt(below(random, tenants))));
  // Each tenant's period is learned the first time that this process asks.
  await forEach(all, atOnce, (one) => hotState.check(one));
  await forEach(all, atOnce, (one) => hotState.release(one));
  const checks = all.map(({ tenantId }) => request(tenantId));
  await client.call('CONFIG', 'RESETSTAT');
  const startedAtMs = performance.now();
  await forEach(checks, atOnce, async (check) => {
    const { kind } = await hotState.check(check);
    if (kind !== 'admitted') throw new Error(`a check was answered ${kind}`);
  });
  const perSecond = (checks.length * 1_000) / (performance.now() - startedAtMs);
  const stats = String(await client.call('INFO', 'commandstats'));
  const [, calls, micros] = /cmdstat_evalsha:calls=(\d+),usec=(\d+)/.exec(stats) ?? [];
  await forEach(checks, atOnce, (check) => hotState.release(check));
  return { perSecond: rounded(perSecond), scriptMicros: rounded(Number(micros) / Number(calls)) };
}

/** What a sample of tenants holds in the end: nothing. */
async function verify({ hotState, tenants }: Filled, random: Random): Promise<readonly string[]> {
  const failures: string[] = [];
  for (let sample = 0; sample < 200; sample++) {
    const tenantId = tenantAt(below(random, tenants));
    const state = await hotState.look(tenantId);
    if (state?.held !== 0n || state.openHolds !== 0) failures.push(`${tenantId} holds ${state?.held}`);
  }
  return failures;
}

export const tenants: Question = async ({ rounds, tenants: many }) => {
  await using undo = new AsyncDisposableStack();
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
  const failures = (await Promise.all(servers.map((server) => verify(server, random)))).flat();
  return {
    table: figures.map(({ rounds: _, ...row }) => row),
    result: { benchmark: 'tenants', times, figures },
    failures,
  };
};
