import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

interface Parentage {
  readonly pid: number;
  readonly parent: number;
}

/**
 * The processes that this one has started, of those that still run.
 * @throws Error where neither /proc nor `ps` tells: a test that missed some would go on with half a server
 */
export async function childrenOf(pid: number): Promise<readonly number[]> {
  const all = (await parentageOfProc()) ?? (await parentageOfPs());
  return all.filter(({ parent }) => parent === pid).map((one) => one.pid);
}

/** Slim images of Linux have no `ps`. @returns null where there is no /proc */
async function parentageOfProc(): Promise<readonly Parentage[] | null> {
  const names = await readdir('/proc').catch((): string[] => []);
  if (!names.includes('self')) return null;
  const all: Parentage[] = [];
  for (const name of names.filter((one) => /^\d+$/.test(one))) {
    // One that ended meanwhile has no file any more.
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => null);
    if (stat === null) continue;
    // Its program's name is in brackets, and may have blanks and brackets itself: its state and its parent follow it.
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    all.push({ pid: Number(name), parent: Number(parent) });
  }
  return all;
}

async function parentageOfPs(): Promise<readonly Parentage[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([pid = 0, parent = 0]) => ({ pid, parent }));
}
