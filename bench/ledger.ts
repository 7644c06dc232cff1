import type { WrittenBatch } from '../src/observability/observer.ts';
import { startPostgres } from '../test/support/services/postgres.ts';
import { mean, median, rounded } from './figures.ts';
import { type Callers, drive, type Kind, kinds } from './ledger/callers.ts';
import { gatherStatistics, prepareLedger, settingsOf, verify } from './ledger/database.ts';
import { openGroupCommit } from './ledger/group-commit.ts';
import { openOneStatementEach } from './ledger/one-statement-each.ts';
import type { BenchOptions, Question } from './question.ts';

// One hot tenant: how many transactions a second does the group commit commit, against one statement per
// transaction at its best number of connections, in the same run? Everything is charged to one tenant, whose
// row each transaction changes: the worst case of a ledger. Client and server share the machine.

const connections = [1, 2, 4, 8, 16, 32, 64];
const callers = [64, 256, 1024];
const warmUpSeconds = 0.5;

/** One way to bring one kind of transaction in, at so many callers at once. */
interface Way {
  readonly kind: Kind;
  readonly way: 'one statement each' | 'group commit';
  readonly atOnce: number;
  readonly callers: Callers;
}

interface Round {
  readonly perSecond: number;
  /** None, where each transaction is a statement of its own. */
  readonly batches: readonly WrittenBatch[];
}

/** The shorter list spread evenly over the longer one, so that both meet the same weather. */
function interleaved<T>(...lists: readonly (readonly T[])[]): readonly T[] {
  return lists
    .flatMap((list) => list.map((value, index) => ({ value, position: (index + 0.5) / list.length })))
    .sort((a, b) => a.position - b.position)
    .map(({ value }) => value);
}

async function openWays(url: string, undo: AsyncDisposableStack): Promise<readonly Way[]> {
  const each = await openOneStatementEach(url, { connections: Math.max(...connections) });
  undo.defer(() => each.close());
  const group = await openGroupCommit(url, { callers: Math.max(...callers) });
  undo.defer(() => group.close());
  return kinds.flatMap((kind) =>
    interleaved<Way>(
      connections.map((atOnce) => ({ kind, way: 'one statement each', atOnce, callers: each })),
      callers.map((atOnce) => ({ kind, way: 'group commit', atOnce, callers: group })),
    ),
  );
}

/** Every way once, and again in each round; counts all that was committed. */
async function measure(ways: readonly Way[], { rounds, seconds }: BenchOptions) {
  const measured = new Map<Way, Round[]>(ways.map((way) => [way, []]));
  let charges = 0;
  const run = async ({ kind, atOnce, callers }: Way, forSeconds: number): Promise<Round> => {
    callers.takeBatches();
    const { transactions, perSecond } = await drive(callers[kind].slice(0, atOnce), forSeconds);
    charges += transactions;
    return { perSecond: rounded(perSecond), batches: callers.takeBatches() };
  };
  for (const way of ways) await run(way, warmUpSeconds);
  for (let round = 1; round <= rounds; round++) {
    for (const [way, done] of measured) done.push(await run(way, seconds));
    console.error(`round ${round} of ${rounds}`);
  }
  return { measured, charges };
}

function figuresOf({ kind, way, atOnce }: Way, rounds: readonly Round[]) {
  const rates = rounds.map(({ perSecond }) => perSecond);
  const batches = rounds.flatMap((round) => round.batches);
  const average = (read: (batch: WrittenBatch) => number) =>
    batches.length === 0 ? null : rounded(mean(batches.map(read)));
  return {
    kind,
    way,
    at_once: atOnce,
    per_second: rounded(median(rates)),
    batch_size: average(({ size }) => size),
    batch_waited_ms: average(({ waitedMs }) => waitedMs),
    batch_write_ms: average(({ writeMs }) => writeMs),
    rounds: rates,
  };
}

type Figures = ReturnType<typeof figuresOf>;

/** The best of each way, by its median. */
function compare(figures: readonly Figures[], kind: Kind) {
  const best = (way: Way['way']) => {
    const candidates = figures.filter((row) => row.kind === kind && row.way === way);
    return candidates.reduce((a, b) => (b.per_second > a.per_second ? b : a));
  };
  const [group, each] = [best('group commit'), best('one statement each')];
  return { kind, times: rounded(group.per_second / each.per_second), group, one_statement_each: each };
}

/** With the settings of whoever installs it, but for the flushing that is asked for. */
async function startServer({ fsync }: BenchOptions, undo: AsyncDisposableStack): Promise<string> {
  const server = await startPostgres([`fsync=${fsync}`]);
  undo.defer(() => server.stop());
  // It is a process of its own, which would stay.
  const leave = () => void server.stop().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, leave);
    undo.defer(() => void process.off(signal, leave));
  }
  return server.url;
}

async function settingsAsAsked(url: string, { fsync }: BenchOptions) {
  const settings = await settingsOf(url);
  if (settings.fsync !== fsync || settings.synchronous_commit !== 'on')
    throw new Error(`Postgres runs with other settings than asked for: ${JSON.stringify(settings)}`);
  return settings;
}

export const ledger: Question = async (options) => {
  await using undo = new AsyncDisposableStack();
  const url = await startServer(options, undo);
  const settings = await settingsAsAsked(url, options);
  const earlier = await prepareLedger(url);
  await gatherStatistics(url);
  const { measured, charges } = await measure(await openWays(url, undo), options);
  const figures = [...measured].map(([way, rounds]) => figuresOf(way, rounds));
  const comparisons = kinds.map((kind) => compare(figures, kind));
  for (const { kind, times } of comparisons)
    console.error(
      `${kind}: the group commit commits ${times} times as many as one statement each at its best`,
    );
  return {
    table: figures.map(({ rounds, ...row }) => ({ ...row, rounds: rounds.join(' ') })),
    result: { benchmark: 'ledger', options, postgres: settings, comparisons, figures },
    failures: await verify(url, earlier + charges),
  };
};
