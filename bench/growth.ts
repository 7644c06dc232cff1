import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { TenantId } from '../src/domain/ids.ts';
import { below, mulberry32 } from '../src/simulator/random.ts';
import { administer, type PostgresService, startPostgres } from '../test/support/services/postgres.ts';
import { startRedis } from '../test/support/services/redis.ts';
import { median, rounded } from './figures.ts';
import type { Goal } from './goals.ts';
import { type Filling, fillLedger, grownApiKey, grownTenant } from './growth/fill.ts';
import { databaseBytes, verifyChains } from './growth/verify.ts';
import { startBenchGateway } from './http/gateway.ts';
import { load } from './http/load.ts';
import { pinThisProcess, startedOn } from './http/pinned.ts';
import type { BenchServer } from './http/server.ts';
import { startInstantUpstream } from './http/upstream.ts';
import { type Callers, drive } from './ledger/callers.ts';
import { openGroupCommit } from './ledger/group-commit.ts';
import type { BenchOptions, Question } from './question.ts';
import { warmUpSecondsOf } from './rounds.ts';

const run = promisify(execFile);

// Does what a transaction takes grow with the ledger? One with 10 transactions and one with many, each with a Postgres,
// a Redis and a gateway of its own, asked in turns for the same number of tenants, spread over all that there are.

const fewTransactions = 10;
const activeTenants = 1_000;
const callers = 256;
const connections = 32;
const mostTimes = 1.1;
/**
 * Both have it. As operations.md says: with Postgres' own 128 MB the new rows' pages push out those of the indexes, which
 * is how large its cache is, and not how large the ledger. And filling one would go from checkpoint to checkpoint.
 */
const settings = ['shared_buffers=1GB', 'max_wal_size=16GB'];

const measures = ['deduct', 'pair', 'request'] as const;
type Measure = (typeof measures)[number];

interface Ledger extends Filling {
  readonly postgres: PostgresService;
  readonly filledInSeconds: number;
  readonly bytes: number;
  readonly callers: Callers;
  readonly gateway: BenchServer;
  readonly apiKeys: readonly string[];
  readonly active: readonly TenantId[];
}

interface Round {
  readonly perSecond: number;
  /** Of the gateway, for each request; null where there is none. */
  readonly cpuMs: number | null;
}

/** What is yet to be written would be written while commits are measured; from here on they are flushed. */
async function settleDisk(url: string, { fsync }: BenchOptions): Promise<void> {
  await administer(url, 'CHECKPOINT');
  await run('sync');
  await administer(url, `ALTER SYSTEM SET fsync = '${fsync}'`);
  await administer(url, 'SELECT pg_reload_conf()');
}

async function open(filling: Filling, options: BenchOptions, undo: AsyncDisposableStack): Promise<Ledger> {
  const kept = <S extends { stop(): Promise<void> }>(service: S): S => {
    undo.defer(() => service.stop());
    return service;
  };
  // It doesn't flush while it is filled.
  const postgres = kept(await startedOn('others', () => startPostgres(settings)));
  const redis = kept(await startedOn('others', () => startRedis()));
  const filledInSeconds = await fillLedger(postgres.url, filling);
  await settleDisk(postgres.url, options);
  console.error(`${filling.transactions} transactions are there in ${rounded(filledInSeconds)} s`);
  const indexes = Array.from({ length: activeTenants }, (_, index) =>
    Math.floor((index * filling.tenants) / activeTenants),
  );
  const active = indexes.map((index) => grownTenant(index) as TenantId);
  const random = mulberry32(20_261_130);
  const nextTenant = () => active[below(random, active.length)] as TenantId;
  const group = await openGroupCommit(postgres.url, { callers, nextTenant });
  undo.defer(() => group.close());
  const { url: upstreamUrl } = kept(await startedOn('others', startInstantUpstream));
  // The first comparison of hot state with the ledger is of all tenants, and with a million would go on in one of the
  // gateways, on the core of both, for as long as they are measured.
  const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, RECONCILE_SECONDS: '3600' };
  const gateway = kept(await startBenchGateway({ upstreamUrl, env, profileFolder: options.profileFolder }));
  return {
    ...filling,
    postgres,
    filledInSeconds,
    bytes: await databaseBytes(postgres.url),
    callers: group,
    gateway,
    apiKeys: indexes.map(grownApiKey),
    active,
  };
}

async function measure(ledger: Ledger, what: Measure, seconds: number): Promise<Round> {
  if (what === 'request') return await measureRequests(ledger, seconds);
  const { perSecond } = await drive(ledger.callers[what], seconds);
  ledger.callers.takeBatches();
  return { perSecond, cpuMs: null };
}

async function measureRequests({ gateway, apiKeys }: Ledger, seconds: number): Promise<Round> {
  const before = await gateway.cpuSeconds();
  const { perSecond, requests, failed } = await load({ ...gateway, apiKeys, connections, seconds });
  if (failed > 0) throw new Error(`${failed} requests were not answered with 200`);
  return { perSecond, cpuMs: (((await gateway.cpuSeconds()) - before) * 1_000) / requests };
}

type Measured = ReadonlyMap<Ledger, ReadonlyMap<Measure, readonly Round[]>>;

async function measureAll(ledgers: readonly Ledger[], { rounds, seconds }: BenchOptions): Promise<Measured> {
  const measured = new Map(
    ledgers.map((ledger) => [ledger, new Map(measures.map((what) => [what, [] as Round[]]))]),
  );
  for (const ledger of ledgers) {
    await drive(ledger.callers.deduct, seconds);
    await drive(ledger.callers.pair, seconds);
    await measureRequests(ledger, warmUpSecondsOf(seconds));
  }
  for (let round = 0; round < rounds; round++) {
    for (const what of measures) {
      // In turns, so that both meet the same weather.
      for (const ledger of round % 2 === 0 ? ledgers : ledgers.toReversed())
        measured
          .get(ledger)
          ?.get(what)
          ?.push(await measure(ledger, what, seconds));
    }
    console.error(`round ${round + 1} of ${rounds}`);
  }
  return measured;
}

const names: Readonly<Record<Measure, string>> = {
  deduct: 'a deduction by the ledger',
  pair: 'PENDING and COMMIT by the ledger',
  request: 'a request by the gateway',
};

const perSecondOf = (measured: Measured, ledger: Ledger, what: Measure) =>
  median((measured.get(ledger)?.get(what) ?? []).map(({ perSecond }) => perSecond));

function goalsOf(measured: Measured, small: Ledger, large: Ledger): readonly Goal[] {
  return measures.map((what) => ({
    what: `${names[what]}, time with ${large.transactions} transactions to ${small.transactions}`,
    figure: perSecondOf(measured, small, what) / perSecondOf(measured, large, what),
    bound: 'at most',
    goal: mostTimes,
  }));
}

function rowsOf(measured: Measured, ledgers: readonly Ledger[]) {
  return ledgers.map((ledger) => {
    const cpus = (measured.get(ledger)?.get('request') ?? []).flatMap(({ cpuMs }) => cpuMs ?? []);
    return {
      transactions: ledger.transactions,
      tenants: ledger.tenants,
      'filled in, s': rounded(ledger.filledInSeconds),
      'database, MB': rounded(ledger.bytes / 1_048_576),
      'deductions a second': rounded(perSecondOf(measured, ledger, 'deduct')),
      'PENDING and COMMIT a second': rounded(perSecondOf(measured, ledger, 'pair')),
      'requests a second': rounded(perSecondOf(measured, ledger, 'request')),
      'CPU of a request, ms': rounded(median(cpus)),
    };
  });
}

export const growth: Question = async (options) => {
  await using undo = new AsyncDisposableStack();
  await pinThisProcess('gateway');
  const { tenants, transactions } = options;
  const small = await open({ tenants: activeTenants, transactions: fewTransactions }, options, undo);
  const large = await open({ tenants, transactions }, options, undo);
  const measured = await measureAll([small, large], options);
  const table = rowsOf(measured, [small, large]);
  const failures = await Promise.all(
    [small, large].map(({ postgres, active }) => verifyChains(postgres.url, active)),
  );
  return {
    table,
    goals: goalsOf(measured, small, large),
    result: {
      question: 'growth',
      options,
      activeTenants,
      figures: table,
      rounds: [...measured].map(([ledger, rounds]) => ({
        transactions: ledger.transactions,
        ...Object.fromEntries(rounds),
      })),
    },
    failures: failures.flat(),
  };
};
