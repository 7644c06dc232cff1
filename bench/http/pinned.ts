import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The gateway has a core of its own, and everything else the other, where the machine has two. */
export type Core = 'gateway' | 'others';

/** What a command line begins with so that it stays on its core. */
export async function pinnedTo(core: Core): Promise<readonly string[]> {
  if (availableParallelism() < 2) return [];
  const isThere = await run('taskset', ['--version']).then(
    () => true,
    () => false,
  );
  return isThere ? ['taskset', '-c', core === 'gateway' ? '0' : '1'] : [];
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
