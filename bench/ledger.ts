import type { WrittenBatch } from '../src/observability/observer.ts';
import { below, mulberry32 } from '../src/simulator/random.ts';
import { administer, startPostgres } from '../test/support/services/postgres.ts';
import { mean, median, rounded } from './figures.ts';
import type { Goal } from './goals.ts';
import { pinThisProcess, startedOn } from './http/pinned.ts';
import { type Callers, drive, type Kind, kinds } from './ledger/callers.ts';
import { gatherStatistics, prepareLedger, settingsOf, verifyHot, verifySpread } from './ledger/database.ts';
import { openGroupCommit } from './ledger/group-commit.ts';
import { openOneStatementEach } from './ledger/one-statement-each.ts';
import { hotTenant, tenantAt } from './ledger/work.ts';
import type { BenchOptions, Question } from './question.ts';
import { pgbench } from './services/pgbench.ts';

// How many transactions a second does the group commit commit, to one hot tenant, whose row each of them changes, and
// to many? Against one statement per transaction at its best number of connections, and against what Postgres itself
// reaches on one row, in the same run. The ledger has the gateway's core, and Postgres the other.

const connections = [1, 2, 4, 8, 16, 32, 64];
const callers = [64, 256, 1024];
/** Not the tenants of other questions: so many that a batch seldom has one twice. */
const spreadOver = 10_000;
const warmUpSeconds = 0.5;

const ways = ['one statement each', 'group commit', 'group commit, many tenants'] as const;
type WayName = (typeof ways)[number];

/** One way to bring one kind of transaction in, at so many callers at once. */
interface Way {
  readonly kind: Kind;
  readonly way: WayName;
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
  const kept = (opened: Callers): Callers => {
    undo.defer(() => opened.close());
    return opened;
  };
  const most = { callers: Math.max(...callers) };
  const random = mulberry32(20_261_129);
  const each = kept(await openOneStatementEach(url, { connections: Math.max(...connections) }));
  const hot = kept(await openGroupCommit(url, { ...most, nextTenant: () => hotTenant }));
  const spread = kept(
    await openGroupCommit(url, { ...most, nextTenant: () => tenantAt(below(random, spreadOver)) }),
  );
  return kinds.flatMap((kind) =>
    interleaved<Way>(
      connections.map((atOnce) => ({ kind, way: 'one statement each', atOnce, callers: each })),
      callers.map((atOnce) => ({ kind, way: 'group commit', atOnce, callers: hot })),
      callers.map((atOnce) => ({ kind, way: 'group commit, many tenants', atOnce, callers: spread })),
    ),
  );
}

interface Measured {
  readonly ofWays: ReadonlyMap<Way, readonly Round[]>;
  readonly ofPgbench: ReadonlyMap<PgbenchWay, readonly number[]>;
  /** All that was committed. */
  readonly charges: { readonly hot: number; readonly spread: number };
}

/** Every way once, and again in each round; counts all that was committed. */
async function measure(
  all: readonly Way[],
  url: string,
  { rounds, seconds }: BenchOptions,
): Promise<Measured> {
  const ofWays = new Map<Way, Round[]>(all.map((way) => [way, []]));
  const ofPgbench = new Map<PgbenchWay, number[]>(pgbenchWays.map((way) => [way, []]));
  const charges = { hot: 0, spread: 0 };
  const run = async ({ kind, way, atOnce, callers }: Way, forSeconds: number): Promise<Round> => {
    callers.takeBatches();
    const { transactions, perSecond } = await drive(callers[kind].slice(0, atOnce), forSeconds);
    charges[way === 'group commit, many tenants' ? 'spread' : 'hot'] += transactions;
    return { perSecond: rounded(perSecond), batches: callers.takeBatches() };
  };
  for (const way of all) await run(way, warmUpSeconds);
  for (let round = 1; round <= rounds; round++) {
    for (const [{ kind, clients }, done] of ofPgbench)
      done.push(rounded((await pgbench({ url, script: scripts[kind], clients, seconds })).perSecond));
    for (const [way, done] of ofWays) done.push(await run(way, seconds));
    console.error(`round ${round} of ${rounds}`);
  }
  return { ofWays, ofPgbench, charges };
}

/** A tenant's row with nothing around it: no limit is looked at, nothing is checked, nothing may be repeated. */
const createHotRow = `
  CREATE TABLE bench_hot_row (id int PRIMARY KEY, balance numeric(20,9), version bigint) WITH (fillfactor = 70);
  CREATE TABLE bench_charge (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, balance_after numeric(20,9));
  INSERT INTO bench_hot_row VALUES (1, 1000000, 1)`;
const update = 'UPDATE bench_hot_row SET balance = balance - 0.0005, version = version + 1 WHERE id = 1';
const scripts = {
  update: `${update};`,
  /** With a row of what was charged: the least that could be called a ledger. */
  'update, insert': `WITH charged AS (${update} RETURNING balance)
    INSERT INTO bench_charge (balance_after) SELECT balance FROM charged;`.replaceAll('\n', ' '),
};
type Script = keyof typeof scripts;

interface PgbenchWay {
  readonly kind: Script;
  readonly clients: number;
}

const pgbenchWays: readonly PgbenchWay[] = connections.flatMap((clients) =>
  (Object.keys(scripts) as Script[]).map((kind) => ({ kind, clients })),
);

function figuresOf({ kind, way, atOnce }: Way, rounds: readonly Round[]) {
  const rates = rounds.map(({ perSecond }) => perSecond);
  const batches = rounds.flatMap((round) => round.batches);
  const average = (read: (batch: WrittenBatch) => number) =>
    batches.length === 0 ? null : rounded(mean(batches.map(read)));
  return {
    kind: kind as Kind | Script,
    way: way as WayName | 'pgbench',
    at_once: atOnce,
    per_second: rounded(median(rates)),
    batch_size: average(({ size }) => size),
    batch_waited_ms: average(({ waitedMs }) => waitedMs),
    batch_write_ms: average(({ writeMs }) => writeMs),
    rounds: rates as readonly number[],
  };
}

type Figures = ReturnType<typeof figuresOf>;

function allFigures({ ofWays, ofPgbench }: Measured): readonly Figures[] {
  return [
    ...[...ofPgbench].map(([{ kind, clients }, rounds]) => ({
      kind,
      way: 'pgbench' as const,
      at_once: clients,
      per_second: rounded(median(rounds)),
      batch_size: null,
      batch_waited_ms: null,
      batch_write_ms: null,
      rounds,
    })),
    ...[...ofWays].map(([way, rounds]) => figuresOf(way, rounds)),
  ];
}

/** The best of each way, by its median. */
function compare(figures: readonly Figures[], kind: Kind) {
  const best = (way: Figures['way'], ofKind: Figures['kind'] = kind) => {
    const candidates = figures.filter((row) => row.kind === ofKind && row.way === way);
    return candidates.reduce((a, b) => (b.per_second > a.per_second ? b : a));
  };
  const [group, each] = [best('group commit'), best('one statement each')];
  const [row, charge] = [best('pgbench', 'update'), best('pgbench', 'update, insert')];
  return {
    kind,
    times: rounded(group.per_second / each.per_second),
    times_pgbench_update: rounded(group.per_second / row.per_second),
    times_pgbench_update_insert: rounded(group.per_second / charge.per_second),
    group,
    many_tenants: best('group commit, many tenants'),
    one_statement_each: each,
    pgbench_update: row,
    pgbench_update_insert: charge,
  };
}

type Comparison = ReturnType<typeof compare>;

function goalsOf(comparisons: readonly Comparison[]): readonly Goal[] {
  return comparisons
    .filter(({ kind }) => kind === 'deduct')
    .map(({ times_pgbench_update: figure }) => ({
      what: "transactions a second to one hot tenant, to pgbench's updates of one row at their best",
      figure,
      bound: 'at least',
      goal: 5,
    }));
}

/** With the settings of whoever installs it, but for the flushing that is asked for. */
async function startServer({ fsync }: BenchOptions, undo: AsyncDisposableStack): Promise<string> {
  const server = await startedOn('others', () => startPostgres([`fsync=${fsync}`]));
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
  await pinThisProcess('gateway');
  const url = await startServer(options, undo);
  const settings = await settingsAsAsked(url, options);
  const spread = Array.from({ length: spreadOver }, (_, index) => tenantAt(index));
  const earlier = await prepareLedger(url, [hotTenant, ...spread]);
  await administer(url, createHotRow);
  await gatherStatistics(url);
  const measured = await measure(await openWays(url, undo), url, options);
  const figures = allFigures(measured);
  const comparisons = kinds.map((kind) => compare(figures, kind));
  for (const { kind, times, times_pgbench_update, times_pgbench_update_insert } of comparisons)
    console.error(
      `${kind}: the group commit commits ${times} times as many as one statement each at its best, ` +
        `${times_pgbench_update} times pgbench's updates, ${times_pgbench_update_insert} times its updates with an insert`,
    );
  const { hot, spread: ofSpread } = measured.charges;
  return {
    table: figures.map(({ rounds, ...row }) => ({ ...row, rounds: rounds.join(' ') })),
    goals: goalsOf(comparisons),
    result: { benchmark: 'ledger', options, postgres: settings, comparisons, figures },
    failures: [...(await verifyHot(url, earlier + hot)), ...(await verifySpread(url, ofSpread))],
  };
};
