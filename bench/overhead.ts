import { createDatabase, startPostgres } from '../test/support/services/postgres.ts';
import { startRedis } from '../test/support/services/redis.ts';
import { median, rounded } from './figures.ts';
import type { Goal } from './goals.ts';
import { startBareRelay } from './http/bare-relay.ts';
import { startBenchGateway } from './http/gateway.ts';
import { type Loaded, load } from './http/load.ts';
import { pinThisProcess } from './http/pinned.ts';
import { installPortkey, portkeyPackage, startPortkey } from './http/portkey.ts';
import type { BenchServer } from './http/server.ts';
import { startInstantUpstream } from './http/upstream.ts';
import type { BenchOptions, Question } from './question.ts';
import { rotated, warmUpSecondsOf } from './rounds.ts';
import { type Floor, measureFloor, prepareFloor } from './services/floor.ts';

// What does a request take that is billed, beyond one that is only relayed? Chat completions of 1 KB in and out, from
// an upstream that answers at once. Everything but the gateways shares the other core: nginx, wrk, Postgres, Redis.

/** Embedded is all of it in one process; with Postgres, hot state is in memory or in Redis. */
const names = ['relay', 'embedded', 'memory+postgres', 'redis+postgres', 'portkey'] as const;
type Name = (typeof names)[number];

const alone = 1;
const many = [32, 256] as const;
const connections = [alone, ...many] as const;
/**
 * One connection alone is measured for so many times as long, of all gateways one after the other and behind the floor, not
 * right behind 256 connections: few requests make its p99, and what another gateway's load leaves behind (collections,
 * files to be written) isn't part of what one request adds.
 */
const timesAlone = 3;
/** Where the CPU of a request is compared: neither idle nor overrun. */
const usualConnections = 32;

interface Measured extends Loaded {
  readonly connections: number;
  /** Milliseconds of the gateway's CPU. */
  readonly cpuMs: number;
}

interface Started {
  readonly servers: ReadonlyMap<Name, BenchServer>;
  /** Why Portkey's gateway isn't among them; null where it is, or wasn't asked for. */
  readonly notInstalled: string | null;
  /** Measured on the Postgres and the Redis of the gateway that uses them. */
  floor(): Promise<Floor>;
}

async function start(
  { only, fsync, seconds, profileFolder }: BenchOptions,
  undo: AsyncDisposableStack,
): Promise<Started> {
  const isWanted = (name: Name) => only === null || only.includes(name) || name === 'relay';
  const kept = <S extends { stop(): Promise<void> }>(service: S): S => {
    undo.defer(() => service.stop());
    return service;
  };
  const { url: upstreamUrl } = kept(await startInstantUpstream());
  const servers = new Map<Name, BenchServer>();
  servers.set('relay', kept(await startBareRelay({ upstreamUrl, profileFolder })));
  const postgres = kept(await startPostgres([`fsync=${fsync}`]));
  const redis = kept(await startRedis());
  await prepareFloor(postgres.url);
  const envs: readonly (readonly [Name, () => Promise<Readonly<Record<string, string>>>])[] = [
    ['embedded', async () => ({})],
    ['memory+postgres', async () => ({ DATABASE_URL: (await createDatabase(postgres.url)).url })],
    ['redis+postgres', async () => ({ DATABASE_URL: postgres.url, REDIS_URL: redis.url })],
  ];
  for (const [name, env] of envs) {
    if (!isWanted(name)) continue;
    servers.set(name, kept(await startBenchGateway({ upstreamUrl, env: await env(), profileFolder })));
  }
  const notInstalled = isWanted('portkey') ? await addPortkey(servers, upstreamUrl, undo) : null;
  return {
    servers,
    notInstalled,
    floor: () => measureFloor({ databaseUrl: postgres.url, redisPort: redis.port, seconds }),
  };
}

/** @returns why it can't be measured here; null where it can */
async function addPortkey(
  servers: Map<Name, BenchServer>,
  upstreamUrl: string,
  undo: AsyncDisposableStack,
): Promise<string | null> {
  try {
    const installed = await installPortkey();
    undo.defer(() => installed.remove());
    const server = await startPortkey(installed, { upstreamUrl });
    undo.defer(() => server.stop());
    servers.set('portkey', server);
    return null;
  } catch (error) {
    const reason = `${portkeyPackage} can't be installed or started here: ${(error as Error).message}`;
    console.error(reason);
    return reason;
  }
}

async function measure(server: BenchServer, atOnce: number, seconds: number): Promise<Measured> {
  const before = await server.cpuSeconds();
  const loaded = await load({ ...server, connections: atOnce, seconds });
  const cpuMs = (((await server.cpuSeconds()) - before) * 1_000) / loaded.requests;
  return { connections: atOnce, cpuMs, ...loaded };
}

/** The median of a figure, over the rounds with so many connections. */
type Figure = (name: Name, atOnce: number, read: (measured: Measured) => number) => number;

function figureOf(measured: ReadonlyMap<Name, readonly Measured[]>): Figure {
  return (name, atOnce, read) =>
    median((measured.get(name) ?? []).filter(({ connections }) => connections === atOnce).map(read));
}

const cpu = ({ cpuMs }: Measured) => cpuMs;
const rate = ({ perSecond }: Measured) => perSecond;
const p50 = ({ p50Ms }: Measured) => p50Ms;
const p99 = ({ p99Ms }: Measured) => p99Ms;

function goalsOf(servers: Started['servers'], figure: Figure, floorMs: number): readonly Goal[] {
  const times = (name: Name) => figure(name, usualConnections, cpu) / figure('relay', usualConnections, cpu);
  const best = (name: Name) => Math.max(...connections.map((atOnce) => figure(name, atOnce, rate)));
  /** Less than the relay's is a disturbance, and no figure to divide by. */
  const added = (read: typeof p50) => {
    const ms = figure('redis+postgres', alone, read) - figure('relay', alone, read);
    return ms > 0 ? ms : Number.NaN;
  };
  const goals: Goal[] = [];
  for (const name of ['embedded', 'memory+postgres', 'redis+postgres'] as const) {
    if (!servers.has(name)) continue;
    const what = `CPU of a request, ${name}, to the bare relay's`;
    goals.push({ what, figure: times(name), bound: 'at most', goal: 2.5 });
  }
  if (!servers.has('redis+postgres')) return goals;
  if (servers.has('portkey')) {
    const what = "requests a second, redis+postgres, to Portkey's";
    goals.push({ what, figure: best('redis+postgres') / best('portkey'), bound: 'at least', goal: 5 });
  }
  return [
    ...goals,
    { what: 'added p50 to the physical floor', figure: added(p50) / floorMs, bound: 'at most', goal: 1.5 },
    { what: 'added p99 to added p50', figure: added(p99) / added(p50), bound: 'at most', goal: 4 },
  ];
}

async function rowsOf({ servers }: Started, figure: Figure) {
  const memories = await Promise.all(
    [...servers].map(async ([name, server]) => ({ name, ...(await server.memory()) })),
  );
  return memories.flatMap(({ name, peakBytes }) =>
    connections.map((atOnce) => ({
      gateway: name,
      connections: atOnce,
      'CPU, ms': rounded(figure(name, atOnce, cpu)),
      'to relay': rounded(figure(name, atOnce, cpu) / figure('relay', atOnce, cpu)),
      'requests a second': rounded(figure(name, atOnce, rate)),
      'p50, ms': rounded(figure(name, atOnce, p50)),
      'p99, ms': rounded(figure(name, atOnce, p99)),
      'added p50, ms': rounded(figure(name, atOnce, p50) - figure('relay', atOnce, p50)),
      'added p99, ms': rounded(figure(name, atOnce, p99) - figure('relay', atOnce, p99)),
      'peak memory, MB': rounded(peakBytes / 1_048_576),
    })),
  );
}

export const overhead: Question = async (options) => {
  await using undo = new AsyncDisposableStack();
  await pinThisProcess('others');
  const { rounds, seconds } = options;
  const started = await start(options, undo);
  const { servers, notInstalled } = started;
  for (const server of servers.values()) await measure(server, usualConnections, warmUpSecondsOf(seconds));
  const measured = new Map<Name, Measured[]>([...servers.keys()].map((name) => [name, []]));
  const floors: Floor[] = [];
  for (let round = 0; round < rounds; round++) {
    floors.push(await started.floor());
    const inTurns = rotated([...servers], round);
    for (const [name, server] of inTurns)
      measured.get(name)?.push(await measure(server, alone, timesAlone * seconds));
    for (const [name, server] of inTurns)
      for (const atOnce of many) measured.get(name)?.push(await measure(server, atOnce, seconds));
    console.error(`round ${round + 1} of ${rounds}`);
  }
  const figure = figureOf(measured);
  const [commitMs, redisMs, floorMs] = (['commitMs', 'redisMs', 'floorMs'] as const).map((name) =>
    median(floors.map((floor) => floor[name])),
  ) as [number, number, number];
  console.error(
    `physical floor: ${rounded(floorMs)} ms, 2 commits of ${rounded(commitMs)} ms and 2 round trips of ${redisMs} ms`,
  );
  const failed = [...measured.values()].flat().reduce((sum, one) => sum + one.failed, 0);
  const table = await rowsOf(started, figure);
  return {
    table,
    goals: goalsOf(servers, figure, floorMs),
    result: {
      question: 'overhead',
      options,
      notInstalled,
      floor: { commitMs, redisMs, floorMs, rounds: floors },
      figures: table,
      rounds: Object.fromEntries(measured),
    },
    failures: failed > 0 ? [`${failed} requests were not answered with 200`] : [],
  };
};
