import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../domain/errors.ts';

/** The embedded ledger has no server that would refuse a second opener, and two would destroy it. */
export interface DataDirLock {
  release(): void;
}

/**
 * Takes the lock of a data directory. It is a lock of the operating system, which SQLite takes on the
 * file for us: it goes with the process, however that ends, so there is none that is left behind and
 * no moment in which two could think so of each other's.
 * @throws Fault LEDGER_UNAVAILABLE while a living process holds it
 */
export function lockDataDir(dataDir: string): DataDirLock {
  const path = join(dataDir, 'ledger.lock');
  const file = openLockFile(path);
  try {
    file.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    file.close();
    if (!isBusy(cause)) throw unusable(path, cause);
    throw new Fault(
      'LEDGER_UNAVAILABLE',
      `${dataDir} is in use by another Tollgate process: stop that one, or set DATA_DIR to another directory.`,
    );
  }
  return { release: () => file.close() };
}

function openLockFile(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

function unusable(path: string, cause: unknown): Fault {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Fault(
    'LEDGER_UNAVAILABLE',
    `${path} can't be locked (${reason}): check that the directory can be written to. The file itself may be removed while no Tollgate runs.`,
  );
}

const sqliteBusy = 5;

function isBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === sqliteBusy;
}
