import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The gateway has a core of its own, and everything else the other, where the machine has two. */
export type Core = 'gateway' | 'others';

const numbers: Readonly<Record<Core, string>> = { gateway: '0', others: '1' };

/** Before anything is pinned: this process sees one core afterwards. */
const cores = availableParallelism();

let thisProcess: Core | null = null;

/** Whether this machine lets a process be kept on a core. */
export async function canPin(): Promise<boolean> {
  if (cores < 2) return false;
  return await run('taskset', ['--version']).then(
    () => true,
    () => false,
  );
}

/** What a command line begins with so that it stays on its core. */
export async function pinnedTo(core: Core): Promise<readonly string[]> {
  return (await canPin()) ? ['taskset', '-c', numbers[core]] : [];
}

/** Keeps this process on a core from now on, and what it starts. */
export async function pinThisProcess(core: Core): Promise<void> {
  if (!(await canPin())) return;
  await run('taskset', ['-a', '-c', '-p', numbers[core], String(process.pid)]);
  thisProcess = core;
}

/** What `start` starts stays on that core: a process begins on the core of whoever starts it. */
export async function startedOn<T>(core: Core, start: () => Promise<T>): Promise<T> {
  const before = thisProcess;
  await pinThisProcess(core);
  try {
    return await start();
  } finally {
    if (before !== null) await pinThisProcess(before);
  }
}

/** Of `getconf CLK_TCK`, on every Linux. */
const ticksPerSecond = 100;

/** Seconds of CPU that a process has used, with all its threads. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export interface Memory {
  /** Resident now, and at the most since its start. */
  readonly bytes: number;
  readonly peakBytes: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
  return { bytes: kilobytes('VmRSS') * 1024, peakBytes: kilobytes('VmHWM') * 1024 };
}
