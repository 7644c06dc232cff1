import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../domain/errors.ts';

/** The embedded ledger has no server that would refuse a second opener, and two would destroy it. */
export interface DataDirLock {
  release(): Promise<void>;
}

interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Tells a process from a later one with the same pid; null where the system doesn't say. */
  readonly startTime: string | null;
}

const touchEveryMs = 2_000;
const staleAfterMs = 10_000;

async function startTimeOf(pid: number): Promise<string | null> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, 'utf8');
    // Field 22; the command's name before it may contain anything but ends with the last parenthesis.
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

async function isRunningHere(holder: Holder): Promise<boolean> {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return holder.startTime === null || (await startTimeOf(holder.pid)) === holder.startTime;
}

/** On another host (a container that shares the volume), a holder is alive as long as it touches its lock. */
async function isTouched(path: string): Promise<boolean> {
  const first = await stat(path).catch(() => null);
  if (first === null) return false;
  const deadline = Date.now() + staleAfterMs;
  while (Date.now() < deadline) {
    await sleep(touchEveryMs / 4);
    const now = await stat(path).catch(() => null);
    if (now === null) return false;
    if (now.mtimeMs !== first.mtimeMs) return true;
  }
  return false;
}

async function readHolder(path: string): Promise<Holder | null> {
  try {
    return JSON.parse(await readFile(join(path, 'holder.json'), 'utf8')) as Holder;
  } catch {
    return null;
  }
}

async function isHeld(path: string): Promise<boolean> {
  const holder = await readHolder(path);
  if (holder === null || holder.host !== hostname()) return await isTouched(path);
  return holder.pid !== process.pid ? await isRunningHere(holder) : heldHere.has(path);
}

const heldHere = new Set<string>();

/**
 * Takes the lock of a data directory; a lock whose holder has died is taken over.
 * @throws Fault LEDGER_UNAVAILABLE while a living process holds it.
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  const path = join(dataDir, 'ledger.lock');
  for (let attempt = 0; ; attempt++) {
    try {
      // Creating a directory is atomic: of several openers, one succeeds.
      await mkdir(path);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (attempt > 2 || (await isHeld(path))) {
        throw new Fault(
          'LEDGER_UNAVAILABLE',
          `${dataDir} is in use by another Tollgate process: stop that one, or set DATA_DIR to another directory.`,
        );
      }
      await rm(path, { recursive: true, force: true });
    }
  }
  heldHere.add(path);
  const holder: Holder = {
    host: hostname(),
    pid: process.pid,
    startTime: await startTimeOf(process.pid),
  };
  await writeFile(join(path, 'holder.json'), JSON.stringify(holder));
  const touching = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, touchEveryMs);
  touching.unref();
  return {
    release: async () => {
      clearInterval(touching);
      heldHere.delete(path);
      await rm(path, { recursive: true, force: true });
    },
  };
}
