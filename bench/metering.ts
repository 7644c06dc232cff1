import { setImmediate as turn } from 'node:timers/promises';
import type { StreamReading } from '../src/dialects/dialect.ts';
import { type MeterOptions, meter } from '../src/gateway/meter.ts';
import { createLearningTokenizer } from '../src/tokenizer/learning-tokenizer.ts';
import { createThreadedTokenizer } from '../src/tokenizer/threaded-tokenizer.ts';
import { quietObserver } from '../test/support/quiet-observer.ts';
import { median, rounded } from './figures.ts';
import { pinThisProcess } from './http/pinned.ts';
import { type RecordedStream, type RecordedStreams, readRecordedStreams } from './metering/recorded.ts';
import type { BenchOptions, Question } from './question.ts';
import { rotated } from './rounds.ts';

// How many events of a stream can be parsed and metered a second, in each wire format? Recorded streams, an event at a
// time, as they come from a provider. The baseline, in the same run, is the least that reading them takes: JSON.parse
// of each event, with nothing around it.

interface Round {
  /** Events a second. */
  readonly parsed: number;
  readonly metered: number;
  readonly jsonParse: number;
}

const turnEvery = 16;

function follow({ dialect }: RecordedStreams, stream: RecordedStream): StreamReading {
  const { quirks, request, contentType, chunks } = stream;
  const follower = dialect.followStream({ quirks, request, contentType });
  for (const chunk of chunks) follower.push(chunk);
  follower.end();
  return follower.reading();
}

/** Over all streams, again and again for so long. @returns events a second */
async function rate(
  { streams }: RecordedStreams,
  seconds: number,
  act: (stream: RecordedStream) => unknown,
): Promise<number> {
  const startedAtMs = performance.now();
  let events = 0;
  let passed = 0;
  do {
    for (const stream of streams) {
      const pending = act(stream);
      if (pending instanceof Promise) await pending;
      events += stream.payloads.length;
      // What is learned of how models count goes on beside, as in the gateway.
      if (++passed % turnEvery === 0) await turn();
    }
  } while (performance.now() - startedAtMs < seconds * 1_000);
  return (events * 1_000) / (performance.now() - startedAtMs);
}

async function measure(recorded: RecordedStreams, seconds: number, options: MeterOptions): Promise<Round> {
  const parsed = await rate(recorded, seconds, (stream) => follow(recorded, stream));
  const metered = await rate(recorded, seconds, (stream) => {
    const { request, upstreamModel } = stream;
    return meter({ request, upstreamModel, reading: follow(recorded, stream), complete: true }, options);
  });
  const jsonParse = await rate(recorded, seconds, ({ payloads }) => {
    for (const payload of payloads) JSON.parse(payload);
  });
  return { parsed, metered, jsonParse };
}

function openTokenizer(undo: AsyncDisposableStack) {
  const tokenizer = createLearningTokenizer({
    counter: createThreadedTokenizer(),
    store: { load: async () => [], save: async () => undefined },
    known: [],
    onAccuracy: () => undefined,
    onFault: (what, error) => {
      throw new Error(what, { cause: error });
    },
  });
  undo.defer(() => tokenizer.close());
  return tokenizer;
}

const eventsOf = ({ streams }: RecordedStreams) =>
  streams.reduce((sum, { payloads }) => sum + payloads.length, 0);

function rowOf(recorded: RecordedStreams, rounds: readonly Round[]) {
  const figure = (name: keyof Round) => median(rounds.map((round) => round[name]));
  return {
    dialect: recorded.dialect.name,
    source: recorded.source,
    streams: recorded.streams.length,
    events: eventsOf(recorded),
    'parsed a second': rounded(figure('parsed')),
    'parsed and metered a second': rounded(figure('metered')),
    'µs an event': rounded(1_000_000 / figure('metered')),
    'JSON.parse a second': rounded(figure('jsonParse')),
    'times JSON.parse': rounded(figure('jsonParse') / figure('metered')),
  };
}

export const metering: Question = async ({ rounds, seconds }: BenchOptions) => {
  await using undo = new AsyncDisposableStack();
  await pinThisProcess('gateway');
  const options = { tokenizer: openTokenizer(undo), observer: quietObserver };
  const all = await readRecordedStreams();
  const measured = new Map<RecordedStreams, Round[]>(all.map((recorded) => [recorded, []]));
  for (const recorded of all) await measure(recorded, 0, options);
  for (let round = 0; round < rounds; round++) {
    for (const recorded of rotated(all, round))
      measured.get(recorded)?.push(await measure(recorded, seconds, options));
    console.error(`round ${round + 1} of ${rounds}`);
  }
  const table = [...measured].map(([recorded, done]) => rowOf(recorded, done));
  return {
    table,
    result: {
      question: 'metering',
      figures: table,
      rounds: [...measured].map(([{ dialect }, done]) => ({ dialect: dialect.name, done })),
    },
    failures: all
      .filter((recorded) => eventsOf(recorded) === 0)
      .map(({ dialect }) => `no event of ${dialect.name} was there to be read`),
  };
};
