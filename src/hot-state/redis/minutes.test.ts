import { expect, it } from 'vitest';
import { loadTenant, plainKey, quotaProjection } from '../../../test/support/hot-state.ts';
import { failOnFault, useRedis } from '../../../test/support/use-redis.ts';
import type { TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import { below, mulberry32, type Random } from '../../simulator/random.ts';
import type { HotState } from '../hot-state.ts';
import { createMemoryHotState } from '../memory.ts';
import { createRedisHotState } from './redis.ts';

// One tenant and the clients of 16 processes, for three minutes of virtual time: against the full log of what was
// admitted, no rolling minute is exceeded, and steady traffic gets nearly all that it is entitled to.

const redis = useRedis();

const processes = 16;
const clientsOfEach = 4;
const minutes = 3;
const startMs = Date.parse('2026-11-23T12:00:00.123Z');
const endMs = startMs + minutes * 60_000;
const stepMs = 50;

interface Logged {
  readonly atMs: number;
  /** What is reserved; once the request has ended, what it used. */
  tokens: number;
}

interface Client {
  readonly hotState: HotState;
  dueMs: number;
  open: { readonly hold: ReturnType<typeof request>; readonly logged: Logged } | null;
}

interface Traffic {
  readonly random: Random;
  readonly rpmLimit: number;
  readonly tpmLimit: number;
  /** At the most, and really. */
  readonly tokens: (random: Random) => readonly [reserved: number, used: number];
  readonly durationMs: (random: Random) => number;
  readonly pauseMs: (random: Random) => number;
  /** Between the first requests of two clients. */
  readonly staggerMs: number;
}

let names = 0;

function request(tenantId: TenantId, tokens: number) {
  const name = `${tenantId} ${names++}`;
  return {
    ...plainKey,
    tenantId,
    traceId: name as TraceId,
    holder: name as TransactionId,
    holdAmount: nano(1n),
    tokens,
  };
}

/** @returns everything that was admitted */
async function serve(tenantId: TenantId, traffic: Traffic, create: (now: () => number) => HotState[]) {
  const { random, rpmLimit, tpmLimit } = traffic;
  let nowMs = startMs;
  const hotStates = create(() => nowMs);
  const balance = nano(10n ** 12n);
  const unlimited = { dailyQuota: null, monthlyQuota: null, balance };
  let projection = quotaProjection({ ...unlimited, tenantId, rpmLimit, tpmLimit });
  await loadTenant(hotStates[0]!, { projection });
  const clients = Array.from({ length: processes * clientsOfEach }, (_, index): Client => {
    const dueMs = startMs + index * traffic.staggerMs;
    return { hotState: hotStates[index % processes]!, dueMs, open: null };
  });
  const log: Logged[] = [];

  async function act(client: Client): Promise<void> {
    const { hotState, open } = client;
    if (open !== null) {
      const { hold, logged } = open;
      const [, used] = traffic.tokens(random);
      projection = { ...projection, version: projection.version + 1 };
      client.open = null;
      await hotState.deduct(hold, projection, used);
      logged.tokens = used;
      client.dueMs = nowMs + traffic.pauseMs(random);
      return;
    }
    const [reserved] = traffic.tokens(random);
    const hold = request(tenantId, reserved);
    const answer = await hotState.check(hold);
    if (answer.kind === 'denied') {
      client.dueMs = nowMs + (answer.freesInMs ?? 1_000);
      return;
    }
    if (answer.kind !== 'admitted') throw new Error(answer.kind);
    const logged = { atMs: nowMs, tokens: reserved };
    log.push(logged);
    expectWithin(log, traffic);
    client.open = { hold, logged };
    await hotState.confirm({ ...hold, periodDay: answer.periodDay });
    client.dueMs = nowMs + traffic.durationMs(random);
  }

  for (; nowMs < endMs; nowMs += stepMs)
    await Promise.all(clients.filter(({ dueMs }) => dueMs <= nowMs).map(act));
  return log;
}

/** The last 60 seconds, from the full log. */
function expectWithin(log: readonly Logged[], { rpmLimit, tpmLimit }: Traffic): void {
  const sinceMs = log.at(-1)!.atMs - 60_000;
  const minute = log.slice(log.findLastIndex(({ atMs }) => atMs <= sinceMs) + 1);
  if (minute.length > rpmLimit) throw new Error(`${minute.length} requests in a minute`);
  const tokens = minute.reduce((sum, one) => sum + one.tokens, 0);
  if (tokens > tpmLimit) throw new Error(`${tokens} tokens in a minute`);
}

const adapters: Record<string, (now: () => number) => HotState[]> = {
  memory: (now) => {
    const hotState = createMemoryHotState({ clock: { now, monotonic: now } });
    return Array.from({ length: processes }, () => hotState);
  },
  Redis: (now) =>
    Array.from({ length: processes }, () =>
      createRedisHotState({ run: redis.run, now, onFault: failOnFault }),
    ),
};

const between = (from: number, to: number) => (random: Random) => from + below(random, to - from);

describeEach(async (name, create) => {
  const log = await serve(
    `mixed ${name}` as TenantId,
    {
      random: mulberry32(7),
      rpmLimit: 300,
      tpmLimit: 60_000,
      tokens: (random) => [300 + below(random, 1_500), below(random, 300)],
      durationMs: between(100, 9_000),
      pauseMs: between(0, 500),
      staggerMs: 0,
    },
    create,
  );
  // Most of it is admitted by what was reserved and never used.
  expect(log.length).toBeGreaterThan(200);
}, '%s: random traffic never exceeds requests or tokens of a rolling minute');

describeEach(async (name, create) => {
  const rpmLimit = 240;
  const log = await serve(
    `requests ${name}` as TenantId,
    {
      random: mulberry32(8),
      rpmLimit,
      tpmLimit: 1_000_000_000,
      tokens: () => [10, 10],
      durationMs: between(50, 500),
      // Evenly, and a tenth more than there is.
      pauseMs: () => 14_250,
      staggerMs: 227,
    },
    create,
  );
  console.info(`${name}: ${log.length} of ${minutes * rpmLimit} requests`);
  expect(log.length).toBeGreaterThanOrEqual(0.98 * minutes * rpmLimit);
}, '%s: steady traffic gets its requests');

describeEach(async (name, create) => {
  const tpmLimit = 24_000;
  const log = await serve(
    `tokens ${name}` as TenantId,
    {
      random: mulberry32(9),
      rpmLimit: 1_000_000,
      tpmLimit,
      tokens: () => [100, 100],
      durationMs: between(50, 500),
      // All at once, whenever something is free.
      pauseMs: () => 0,
      staggerMs: 0,
    },
    create,
  );
  const tokens = log.reduce((sum, one) => sum + one.tokens, 0);
  console.info(`${name}: ${tokens} of ${minutes * tpmLimit} tokens`);
  expect(tokens).toBeGreaterThanOrEqual(0.98 * minutes * tpmLimit);
}, '%s: steady traffic gets its tokens');

function describeEach(
  test: (name: string, create: (now: () => number) => HotState[]) => Promise<void>,
  guarantee: string,
): void {
  it.each(Object.entries(adapters))(guarantee, test);
}
