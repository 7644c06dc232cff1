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
  const file = new DatabaseSync(join(dataDir, 'ledger.lock'));
  try {
    file.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    file.close();
    if (!isBusy(cause)) throw cause;
    throw new Fault(
      'LEDGER_UNAVAILABLE',
      `${dataDir} is in use by another Tollgate process: stop that one, or set DATA_DIR to another directory.`,
    );
  }
  return { release: () => file.close() };
}

const sqliteBusy = 5;

function isBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === sqliteBusy;
}
