import { setTimeout as sleep } from 'node:timers/promises';
import { createDatabase, startPostgres } from '../test/support/services/postgres.ts';
import { startRedis } from '../test/support/services/redis.ts';
import { mean, median, rounded } from './figures.ts';
import type { Goal } from './goals.ts';
import { startBareRelay } from './http/bare-relay.ts';
import { startBenchGateway } from './http/gateway.ts';
import { pinThisProcess } from './http/pinned.ts';
import type { BenchServer } from './http/server.ts';
import type { BenchOptions, Question } from './question.ts';
import { rotated, warmUpSecondsOf } from './rounds.ts';
import {
  type StreamClients,
  type StreamsUpstream,
  startStreamClients,
  startStreamsUpstream,
} from './streams/processes.ts';
import type { ClientsCounts, ClosedCounts, Target, UpstreamCounts } from './streams/wire.ts';

// What does a stream take that is billed, beyond one that is only relayed? The upstream stamps each event when it is
// written, the client looks when it comes; without any gateway between them, both show what they add themselves.

const names = ['none', 'relay', 'embedded', 'redis+postgres'] as const;
type Name = (typeof names)[number];

interface Shape {
  readonly streams: number;
  readonly eventsPerSecond: number;
  /** Opened a second. */
  readonly perSecond: number;
  /**
   * It is looked at for so many times as long as is asked for: of few seconds, one pause of 20 ms, which comes after all were
   * opened, is the whole of the last hundredth.
   */
  readonly timesAsLong: number;
}

const shapes: readonly Shape[] = [
  { streams: 200, eventsPerSecond: 50, perSecond: 200, timesAsLong: 3 },
  { streams: 2_000, eventsPerSecond: 5, perSecond: 200, timesAsLong: 1 },
];
const warmUp: Shape = { streams: 50, eventsPerSecond: 50, perSecond: 50, timesAsLong: 1 };
const opensWithinMs = 30_000;
const settleMs = 1_000;
const memoryEveryMs = 250;

/** What the upstream has to send of what is due; its events may be late by one beat at most. */
const leastShareSent = 0.97;

interface Measured extends ClientsCounts, ClosedCounts {
  readonly shape: Shape;
  readonly upstream: UpstreamCounts;
  readonly eventsPerSecond: number;
  /** Of the gateway; none where there is no gateway. */
  readonly cpuMicros: number;
  /** What the gateway's memory grew by since it was warm, for each open stream. */
  readonly bytesPerStream: number;
}

interface Parts {
  readonly upstream: StreamsUpstream;
  readonly clients: StreamClients;
  /** One that nobody has used yet: memory that was once taken is seldom given back. */
  start(name: Name): Promise<BenchServer>;
}

const nothing = { cpuSeconds: async () => 0, memory: async () => ({ bytes: 0, peakBytes: 0 }) };

async function startParts(
  { fsync, profileFolder }: BenchOptions,
  undo: AsyncDisposableStack,
): Promise<Parts> {
  const kept = <S extends { stop(): Promise<void> }>(service: S): S => {
    undo.defer(() => service.stop());
    return service;
  };
  const upstream = kept(await startStreamsUpstream());
  const clients = kept(await startStreamClients());
  const postgres = kept(await startPostgres([`fsync=${fsync}`]));
  const redis = kept(await startRedis());
  const options = { upstreamUrl: upstream.url, profileFolder };
  return {
    upstream,
    clients,
    start: async (name) => {
      switch (name) {
        case 'none':
          return { url: `${upstream.url}/chat/completions`, headers: {}, ...nothing, stop: async () => {} };
        case 'relay':
          return await startBareRelay(options);
        case 'embedded':
          return await startBenchGateway({ ...options, env: {} });
        case 'redis+postgres': {
          const { url } = await createDatabase(postgres.url);
          return await startBenchGateway({ ...options, env: { DATABASE_URL: url, REDIS_URL: redis.url } });
        }
      }
    },
  };
}

/** Those that never come are told of as a failure. */
async function untilOpen(upstream: StreamsUpstream, streams: number): Promise<void> {
  const deadline = performance.now() + opensWithinMs;
  while ((await upstream.counts()).streams < streams && performance.now() < deadline) await sleep(100);
}

/** Opens all of them, lets `look` happen while they run, and ends them. */
async function whileOpen<T>(
  { upstream, clients }: Parts,
  target: Target,
  { streams, eventsPerSecond, perSecond }: Shape,
  look: () => Promise<T>,
): Promise<T & ClosedCounts> {
  upstream.setRate(eventsPerSecond);
  await clients.open(target, { streams, perSecond });
  await untilOpen(upstream, streams);
  await sleep(settleMs);
  const seen = await look();
  upstream.endStreams();
  return { ...seen, ...(await clients.closed()) };
}

async function memoryDuring({ memory }: Pick<BenchServer, 'memory'>, seconds: number): Promise<number> {
  const samples: number[] = [];
  const until = performance.now() + seconds * 1_000;
  while (performance.now() < until) {
    samples.push((await memory()).bytes);
    await sleep(memoryEveryMs);
  }
  return mean(samples);
}

async function measureShape(
  parts: Parts,
  server: BenchServer,
  shape: Shape,
  seconds: number,
): Promise<Measured> {
  const { upstream, clients } = parts;
  const target = { url: server.url, headers: server.headers };
  await whileOpen(parts, target, warmUp, () => sleep(1_000 * warmUpSecondsOf(seconds), {}));
  const { bytes: before } = await server.memory();
  return await whileOpen(parts, target, shape, async () => {
    const startedAtMs = performance.now();
    const cpuBefore = await server.cpuSeconds();
    clients.startCounting();
    upstream.startCounting();
    const bytes = await memoryDuring(server, shape.timesAsLong * seconds);
    const cpuSeconds = (await server.cpuSeconds()) - cpuBefore;
    const [counts, sent] = await Promise.all([clients.counts(), upstream.counts()]);
    return {
      shape,
      ...counts,
      upstream: sent,
      eventsPerSecond: (counts.events * 1_000) / (performance.now() - startedAtMs),
      cpuMicros: (cpuSeconds * 1_000_000) / counts.events,
      bytesPerStream: (bytes - before) / shape.streams,
    };
  });
}

/** The median over the rounds. */
type Figure = (name: Name, shape: Shape, read: (measured: Measured) => number) => number;

function failuresOf(measured: ReadonlyMap<Name, readonly Measured[]>): readonly string[] {
  return [...measured].flatMap(([name, rounds]) =>
    rounds.flatMap(({ shape, broken, brokenAnswers, complete, upstream }) => {
      const what = `${name}, ${shape.streams} streams`;
      const { due, sent, latenessP99Ms, streams } = upstream;
      const beatMs = 1_000 / shape.eventsPerSecond;
      return [
        ...(broken > 0 || complete !== shape.streams
          ? [`${what}: ${complete} came to their end; of the others: ${brokenAnswers.join('\n')}`]
          : []),
        ...(streams !== shape.streams ? [`${what}: the upstream had ${streams} open`] : []),
        ...(sent < due * leastShareSent
          ? [`${what}: the upstream sent ${sent} of ${Math.round(due)} events that were due`]
          : []),
        ...(latenessP99Ms > beatMs ? [`${what}: the upstream was ${rounded(latenessP99Ms)} ms late`] : []),
      ];
    }),
  );
}

const delayP50 = ({ delayP50Ms }: Measured) => delayP50Ms;
const delayP99 = ({ delayP99Ms }: Measured) => delayP99Ms;
const cpu = ({ cpuMicros }: Measured) => cpuMicros;
const memory = ({ bytesPerStream }: Measured) => bytesPerStream;

function goalsOf(chosen: readonly Name[], figure: Figure): readonly Goal[] {
  const [few, many] = shapes as [Shape, Shape];
  const toRelay = (name: Name, shape: Shape, read: typeof cpu) =>
    figure(name, shape, read) / figure('relay', shape, read);
  const billing = chosen.filter((name) => name !== 'none' && name !== 'relay');
  return billing.flatMap((name): readonly Goal[] => [
    ...shapes.map((shape) => ({
      what: `CPU of an event, ${name}, ${shape.streams} streams, to the bare relay's`,
      figure: toRelay(name, shape, cpu),
      bound: 'at most' as const,
      goal: 1.5,
    })),
    {
      what: `delay of an event at ${few.streams} streams, p99, ${name}, to the bare relay's`,
      figure: toRelay(name, few, delayP99),
      bound: 'at most',
      goal: 2,
    },
    {
      what: `memory of an open stream at ${many.streams}, ${name}, above the bare relay's`,
      figure: (figure(name, many, memory) - figure('relay', many, memory)) / 1_024,
      bound: 'at most',
      goal: 40,
      unit: 'KB',
    },
  ]);
}

function rowsOf(chosen: readonly Name[], figure: Figure) {
  return shapes.flatMap((shape) =>
    chosen.map((name) => ({
      gateway: name,
      streams: shape.streams,
      'events a second': rounded(figure(name, shape, ({ eventsPerSecond }) => eventsPerSecond)),
      'CPU an event, µs': rounded(figure(name, shape, cpu)),
      'to relay': rounded(figure(name, shape, cpu) / figure('relay', shape, cpu)),
      'delay p50, ms': rounded(figure(name, shape, delayP50)),
      'delay p99, ms': rounded(figure(name, shape, delayP99)),
      'added p50, ms': rounded(figure(name, shape, delayP50) - figure('relay', shape, delayP50)),
      'added p99, ms': rounded(figure(name, shape, delayP99) - figure('relay', shape, delayP99)),
      'first byte p50, ms': rounded(figure(name, shape, ({ firstByteP50Ms }) => firstByteP50Ms)),
      'first byte p99, ms': rounded(figure(name, shape, ({ firstByteP99Ms }) => firstByteP99Ms)),
      'memory a stream, KB': rounded(figure(name, shape, memory) / 1_024),
    })),
  );
}

export const streams: Question = async (options) => {
  await using undo = new AsyncDisposableStack();
  await pinThisProcess('others');
  const { rounds, seconds, only } = options;
  const parts = await startParts(options, undo);
  const chosen = names.filter((name) => only === null || only.includes(name) || name === 'relay');
  const measured = new Map<Name, Measured[]>(chosen.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const shape of shapes) {
      for (const name of rotated(chosen, round)) {
        const server = await parts.start(name);
        try {
          measured.get(name)?.push(await measureShape(parts, server, shape, seconds));
        } finally {
          await server.stop();
        }
        console.error(`${name}, ${shape.streams} streams`);
      }
    }
    console.error(`round ${round + 1} of ${rounds}`);
  }
  const figure: Figure = (name, shape, read) =>
    median((measured.get(name) ?? []).filter((one) => one.shape === shape).map(read));
  const table = rowsOf(chosen, figure);
  return {
    table,
    goals: goalsOf(chosen, figure),
    result: { question: 'streams', options, figures: table, rounds: Object.fromEntries(measured) },
    failures: failuresOf(measured),
  };
};
