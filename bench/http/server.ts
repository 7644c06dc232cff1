import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServerProcess, startServerProcess } from '../../test/support/services/server-process.ts';
import { waitUntil } from '../../test/support/services/wait-until.ts';
import { cpuSecondsOf, type Memory, memoryOf, pinnedTo } from './pinned.ts';

/** Something that answers chat completions, on the gateway's core. */
export interface BenchServer {
  /** Of the chat completions. */
  readonly url: string;
  /** What its clients send beside the body. */
  readonly headers: Readonly<Record<string, string>>;
  /** Used since its start, with all its threads. */
  cpuSeconds(): Promise<number>;
  memory(): Promise<Memory>;
  stop(): Promise<void>;
}

export interface ServerProgram {
  /** Where Node finds it. */
  readonly entry: string;
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What it prints once it serves. */
  readonly readyWhen: RegExp;
  /** Where a profile of its CPU is left when it ends; null for none. */
  readonly profileFolder?: string | null;
}

export interface StartedProgram {
  readonly pid: number;
  /** What it has printed until it served. */
  readonly told: string;
  stop(): Promise<void>;
}

const readyWithinMs = 60_000;

/**
 * Starts a program of Node's on the gateway's core. It logs to a file, as one does that is run: read from a pipe, its
 * log would cost the other core.
 * @param makeProgram is given a folder of the program's own, which is removed at the end
 */
export async function startProgram(makeProgram: (folder: string) => ServerProgram): Promise<StartedProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-bench-'));
  const { entry, args = [], env, readyWhen, profileFolder = null } = makeProgram(folder);
  const log = join(folder, 'log');
  const profiling = profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
  const command = [...(await pinnedTo('gateway')), process.execPath, ...profiling, entry, ...args];
  const started = await startServerProcess({
    program: 'sh',
    args: ['-c', 'exec "$@" > log 2>&1', 'sh', ...command],
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', ...env },
    endSignal: 'SIGKILL',
    temporaryFolder: folder,
  });
  const stop = async () => {
    // As whoever runs it would: it finishes what it does, and leaves its profile.
    await started.end('SIGTERM');
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return { pid: started.pid, told: await untilReady(started, log, readyWhen), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function untilReady(started: ServerProcess, log: string, readyWhen: RegExp): Promise<string> {
  let told = '';
  const isSo = async () => {
    told = await readFile(log, 'utf8');
    return readyWhen.test(told);
  };
  const what = 'a server is ready';
  await waitUntil({ what, isSo, withinMs: readyWithinMs, giveUp: started.requireRunning }).catch((cause) => {
    throw new Error(`a server does not serve:\n${told}`, { cause });
  });
  return told;
}

/** What is asked of a process by its number. */
export const measuresOf = (pid: number): Pick<BenchServer, 'cpuSeconds' | 'memory'> => ({
  cpuSeconds: () => cpuSecondsOf(pid),
  memory: () => memoryOf(pid),
});
