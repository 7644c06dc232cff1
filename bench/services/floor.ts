import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  programPath,
  providePrograms,
  type Requirement,
  redisPrograms,
} from '../../test/support/services/find-programs.ts';
import { administer } from '../../test/support/services/postgres.ts';
import { pinnedTo } from '../http/pinned.ts';
import { pgbench } from './pgbench.ts';

const run = promisify(execFile);

const redisBenchmarkPrograms: Requirement = {
  ...redisPrograms,
  name: 'redis-benchmark',
  programs: ['redis-benchmark'],
  folderVariable: 'BENCH_REDIS_FOLDER',
  aptPackage: 'redis-tools',
};

const table = 'bench_commits';
const roundTrips = 5_000;

export interface Floor {
  /** The median of a transaction that inserts one row, of one client. */
  readonly commitMs: number;
  /** The median of a command that does nothing, of one client. */
  readonly redisMs: number;
  /** What a request can't do without, however it is written: a durable hold and a durable charge, each admitted. */
  readonly floorMs: number;
}

export const prepareFloor = (databaseUrl: string): Promise<void> =>
  administer(databaseUrl, `CREATE TABLE ${table} (id bigint GENERATED ALWAYS AS IDENTITY, amount bigint)`);

export interface FloorOptions {
  readonly databaseUrl: string;
  readonly redisPort: number;
  readonly seconds: number;
}

export async function measureFloor({ databaseUrl, redisPort, seconds }: FloorOptions): Promise<Floor> {
  const script = `INSERT INTO ${table} (amount) VALUES (1);`;
  const { p50Ms: commitMs } = await pgbench({ url: databaseUrl, script, clients: 1, seconds });
  const redisMs = await redisRoundTripMs(redisPort);
  return { commitMs, redisMs, floorMs: 2 * commitMs + 2 * redisMs };
}

async function redisRoundTripMs(port: number): Promise<number> {
  await providePrograms([redisBenchmarkPrograms]);
  const [program = '', ...args] = [
    ...(await pinnedTo('gateway')),
    await programPath(redisBenchmarkPrograms),
    ...['-h', '127.0.0.1', '-p', String(port), '-c', '1', '-n', String(roundTrips), '-t', 'ping_mbulk'],
    '--csv',
  ];
  const { stdout } = await run(program, args, { timeout: 60_000 });
  const [names = '', values = ''] = stdout.trim().split('\n').slice(-2);
  const column = names.replaceAll('"', '').split(',').indexOf('p50_latency_ms');
  const told = Number(values.replaceAll('"', '').split(',')[column]);
  if (!(told >= 0)) throw new Error(`redis-benchmark tells nothing:\n${stdout}`);
  return told;
}
