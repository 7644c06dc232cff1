import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Kysely, PGliteDialect } from 'kysely';
import { Fault } from '../../domain/errors.ts';
import type { Schema } from '../schema.ts';
import { lockDataDir } from './data-dir-lock.ts';
import type { Driver } from './driver.ts';
import { EmbeddedEngine } from './embedded-engine.ts';
import { EngineTrouble } from './engine-trouble.ts';
import { scarceSpace } from './free-space.ts';
import { LastingEngine } from './lasting-engine.ts';

/** What Kysely asks of a PGlite instance, answered by the engine behind its thread. */
function asPglite(lasting: LastingEngine) {
  const query = async <T>(run: EmbeddedEngine['run'], statement: string, parameters: unknown[] = []) => {
    const { rows, affectedRows } = await run(statement, parameters);
    return { rows: rows as T[], fields: [], ...(affectedRows === undefined ? {} : { affectedRows }) };
  };
  return {
    ready: true,
    closed: false,
    waitReady: Promise.resolve(),
    close: async () => undefined,
    query: <T>(statement: string, parameters?: unknown[]) =>
      query<T>((...call) => lasting.current().runAlone(...call), statement, parameters),
    transaction: async <T>(body: (tx: EmbeddedTransaction) => Promise<T>) => {
      // A transaction is one engine's: what it has done so far ends with it.
      const engine = lasting.current();
      return await engine.transaction(() =>
        body({
          query: <R>(statement: string, parameters?: unknown[]) =>
            query<R>((...call) => engine.run(...call), statement, parameters),
          rollback: async () => {
            await engine.run('ROLLBACK', []);
          },
        }),
      );
    },
  };
}

interface EmbeddedTransaction {
  query<R>(
    statement: string,
    parameters?: unknown[],
  ): Promise<{ rows: R[]; fields: never[]; affectedRows?: number }>;
  rollback(): Promise<void>;
}

/**
 * The engine on its files. New ones are made under another name first: what is called `ledger` is a
 * ledger, and one that has lost a part is never taken for a new one.
 */
async function openEngine(path: string): Promise<EmbeddedEngine> {
  const files = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (files === null) await makeLedger(path);
  return await openWhole(path);
}

async function openWhole(path: string): Promise<EmbeddedEngine> {
  const files = await readdir(path);
  if (files.includes('PG_VERSION')) return await started(path);
  throw new Fault(
    'LEDGER_UNAVAILABLE',
    `${path} is not a whole ledger: PG_VERSION is missing. It was left as it is; restore it from a backup.`,
  );
}

async function makeLedger(path: string): Promise<void> {
  const unfinished = `${path}.new`;
  await rm(unfinished, { recursive: true, force: true });
  const engine = await started(unfinished);
  await engine.close();
  await rename(unfinished, path);
}

async function started(path: string): Promise<EmbeddedEngine> {
  const engine = new EmbeddedEngine(path);
  try {
    await engine.ready;
    return engine;
  } catch (error) {
    const { cause } = error as Error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const scarce = await scarceSpace(path);
    throw new Fault('LEDGER_UNAVAILABLE', `The ledger in ${path} can't be opened: ${reason}${scarce}`);
  }
}

/**
 * Opens the embedded ledger in `dataDir`, creating it where there is none.
 * @throws Fault LEDGER_UNAVAILABLE when another process has it open, or when it can't be read.
 */
export async function openPglite(dataDir: string): Promise<Driver> {
  await mkdir(dataDir, { recursive: true });
  const lock = lockDataDir(dataDir);
  const path = join(dataDir, 'ledger');
  const first = await openEngine(path).catch((error) => {
    lock.release();
    throw error;
  });
  const trouble = new EngineTrouble();
  const engine = new LastingEngine(first, () => openWhole(path));
  const queryPlanned =
    (byKeys: boolean) =>
    async <Row>(statement: string, parameters: readonly unknown[]) => {
      const { rows } = await trouble.watch(engine.current().runAlone(statement, parameters, byKeys));
      return rows as readonly Row[];
    };
  return {
    db: new Kysely<Schema>({ dialect: new PGliteDialect({ pglite: asPglite(engine) }) }),
    parallelism: 1,
    get alive() {
      return !engine.closed;
    },
    query: queryPlanned(false),
    queryByKeys: queryPlanned(true),
    // That it doesn't sync its files is its nature, which the docs tell, and nothing that a setting would mend.
    weakness: async () => trouble.tell(),
    close: async () => {
      await engine.close();
      lock.release();
    },
  };
}
