import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  postgresPrograms,
  programPath,
  providePrograms,
  type Requirement,
} from '../../test/support/services/find-programs.ts';
import { median } from '../figures.ts';
import { pinnedTo } from '../http/pinned.ts';

const run = promisify(execFile);

const pgbenchPrograms: Requirement = {
  ...postgresPrograms,
  name: 'pgbench',
  programs: ['pgbench'],
  folderVariable: 'BENCH_PGBENCH_FOLDER',
};

export interface PgbenchOptions {
  readonly url: string;
  /** One transaction of each client. */
  readonly script: string;
  readonly clients: number;
  readonly seconds: number;
}

export interface PgbenchFigures {
  readonly perSecond: number;
  readonly p50Ms: number;
}

/** Postgres' own measure of itself: prepared statements from the gateway's core, nothing else around them. */
export async function pgbench({ url, script, clients, seconds }: PgbenchOptions): Promise<PgbenchFigures> {
  await providePrograms([pgbenchPrograms]);
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-pgbench-'));
  try {
    await writeFile(join(folder, 'script.sql'), script);
    const [program = '', ...args] = [
      ...(await pinnedTo('gateway')),
      await programPath(pgbenchPrograms),
      ...['-n', '-M', 'prepared', '-c', String(clients), '-j', '1', '-T', String(Math.ceil(seconds))],
      ...['-l', '--log-prefix=latency', '-f', 'script.sql', url],
    ];
    const { stdout } = await run(program, args, { cwd: folder, timeout: (seconds + 30) * 1_000 });
    const perSecond = Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
    if (!(perSecond > 0)) throw new Error(`pgbench tells nothing:\n${stdout}`);
    return { perSecond, p50Ms: await medianLatencyMs(folder) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A line a transaction, its third column in microseconds. */
async function medianLatencyMs(folder: string): Promise<number> {
  const logs = (await readdir(folder)).filter((name) => name.startsWith('latency'));
  const texts = await Promise.all(logs.map((name) => readFile(join(folder, name), 'utf8')));
  const lines = texts.flatMap((text) => text.trim().split('\n'));
  return median(lines.map((line) => Number(line.split(' ')[2]) / 1_000));
}
