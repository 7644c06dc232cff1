import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Has the system refuse whatever these processes, and those that they start, write beyond so many bytes of a file:
 * with 0, everything. A disk that is really full needs a file system of its own, and mounting one needs rights
 * that a container has not. A limit of the size of files needs none, and can be lifted while a process runs; the
 * write fails in the same place, as "File too large" in place of "No space left on device".
 */
export async function limitFiles(pids: readonly number[], bytes: number | 'unlimited'): Promise<void> {
  for (const pid of pids) {
    // As the account that it runs as: others' limits are not even root's to change in a container.
    const owner = await stat(`/proc/${pid}`).catch(() => null);
    // One that has ended in the meantime writes nothing any more.
    if (owner === null) continue;
    const { uid, gid } = owner;
    await run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`], { uid, gid }).catch((cause) => {
      if (!/No such process/.test(String(cause.stderr))) throw cause;
    });
  }
}
