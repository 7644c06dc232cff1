import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
  /** Of its own, removed at the end. */
  readonly folder: string;
  stop(): Promise<void>;
}

const readyWithinMs = 60_000;
const endsWithinMs = 20_000;

/** Starts a program of Node's on the gateway's core, which logs to a file as one does that is run. */
export async function startProgram(makeProgram: (folder: string) => ServerProgram): Promise<StartedProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-bench-'));
  const { entry, args = [], env, readyWhen, profileFolder = null } = makeProgram(folder);
  const log = join(folder, 'log');
  const file = await open(log, 'w');
  const profiling = profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
  const [program = '', ...rest] = [
    ...(await pinnedTo('gateway')),
    process.execPath,
    ...profiling,
    entry,
    ...args,
  ];
  const child = spawn(program, rest, {
    cwd: folder,
    stdio: ['ignore', file.fd, file.fd],
    env: { PATH: process.env.PATH ?? '', ...env },
  });
  await file.close();
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const stop = async () => {
    if (!hasEnded()) {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), endsWithinMs);
      await exited;
      clearTimeout(late);
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return { pid: child.pid ?? 0, told: await untilReady(log, readyWhen, hasEnded), folder, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function untilReady(log: string, readyWhen: RegExp, hasEnded: () => boolean): Promise<string> {
  const deadline = performance.now() + readyWithinMs;
  for (;;) {
    const told = await readFile(log, 'utf8');
    if (readyWhen.test(told)) return told;
    if (hasEnded() || performance.now() > deadline) throw new Error(`a server does not serve:\n${told}`);
    await sleep(50);
  }
}

/** What is asked of a process by its number. */
export const measuresOf = (pid: number): Pick<BenchServer, 'cpuSeconds' | 'memory'> => ({
  cpuSeconds: () => cpuSecondsOf(pid),
  memory: () => memoryOf(pid),
});
