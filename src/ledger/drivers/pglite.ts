import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Kysely, PGliteDialect } from 'kysely';
import { Fault } from '../../domain/errors.ts';
import type { Schema } from '../schema.ts';
import { lockDataDir } from './data-dir-lock.ts';
import { type Driver, engineError } from './driver.ts';

export interface WorkerRequest {
  readonly id: number;
  readonly statement: string;
  readonly parameters: readonly unknown[];
}

export type WorkerAnswer =
  | { readonly id: number; readonly rows: readonly unknown[]; readonly affectedRows?: number | undefined }
  | { readonly id: number; readonly error: string; readonly sqlState: string };

interface Result {
  readonly rows: readonly unknown[];
  readonly affectedRows?: number | undefined;
}

interface Waiting {
  resolve(result: Result): void;
  reject(error: Error): void;
}

/** The embedded engine behind its thread: statements in, rows out, and the fate of the thread. */
class EmbeddedEngine {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #nextId = 0;
  #failure: Fault | null = null;
  /** Resolves when no transaction is open: the engine has one connection, which a transaction owns. */
  #exclusive: Promise<void> = Promise.resolve();

  constructor(dataDir: string) {
    this.#worker = new Worker(new URL('./pglite-worker.ts', import.meta.url), { workerData: { dataDir } });
    this.#worker.on('message', (message: WorkerAnswer | 'ready' | 'closed') => this.#receive(message));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the thread of the embedded ledger ended')));
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get alive(): boolean {
    return this.#failure === null;
  }

  run(statement: string, parameters: readonly unknown[]): Promise<Result> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const id = this.#nextId++;
    this.#waiting.set(id, { resolve, reject });
    this.#worker.postMessage({ id, statement, parameters } satisfies WorkerRequest);
    return promise;
  }

  /** Runs a statement when no transaction of someone else is open. */
  async runAlone(statement: string, parameters: readonly unknown[]): Promise<Result> {
    await this.#exclusive;
    return await this.run(statement, parameters);
  }

  async transaction<T>(body: () => Promise<T>): Promise<T> {
    const before = this.#exclusive;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#exclusive = before.then(() => promise);
    await before;
    try {
      await this.run('BEGIN', []);
      const value = await body();
      await this.run('COMMIT', []);
      return value;
    } catch (error) {
      await this.run('ROLLBACK', []).catch(() => undefined);
      throw error;
    } finally {
      resolve();
    }
  }

  async close(): Promise<void> {
    if (this.#failure !== null) return;
    this.#worker.postMessage('close');
    await this.#closed.promise;
    await this.#worker.terminate();
  }

  #receive(message: WorkerAnswer | 'ready' | 'closed'): void {
    if (message === 'ready') this.#ready.resolve();
    else if (message === 'closed') this.#closed.resolve();
    else this.#settle(message);
  }

  #settle(answer: WorkerAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting?.reject(engineError(answer.error, answer.sqlState));
    else waiting?.resolve(answer);
  }

  #fail(cause: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = new Fault('LEDGER_UNAVAILABLE', 'The ledger is not available. Nothing was charged.', {
      cause,
    });
    this.#ready.reject(this.#failure);
    this.#closed.resolve();
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure);
    this.#waiting.clear();
  }
}

/** What Kysely asks of a PGlite instance, answered by the engine behind its thread. */
function asPglite(engine: EmbeddedEngine) {
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
      query<T>((...call) => engine.runAlone(...call), statement, parameters),
    transaction: <T>(body: (tx: EmbeddedTransaction) => Promise<T>) =>
      engine.transaction(() =>
        body({
          query: <R>(statement: string, parameters?: unknown[]) =>
            query<R>((...call) => engine.run(...call), statement, parameters),
          rollback: async () => {
            await engine.run('ROLLBACK', []);
          },
        }),
      ),
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
async function openEngine(dataDir: string): Promise<EmbeddedEngine> {
  const path = join(dataDir, 'ledger');
  const files = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (files === null) await makeLedger(path);
  else if (!files.includes('PG_VERSION')) {
    throw new Fault(
      'LEDGER_UNAVAILABLE',
      `${path} is not a whole ledger: PG_VERSION is missing. It was left as it is; restore it from a backup.`,
    );
  }
  return await started(path);
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
    throw new Fault('LEDGER_UNAVAILABLE', `The ledger in ${path} can't be opened: ${reason}`);
  }
}

/**
 * Opens the embedded ledger in `dataDir`, creating it where there is none.
 * @throws Fault LEDGER_UNAVAILABLE when another process has it open, or when it can't be read.
 */
export async function openPglite(dataDir: string): Promise<Driver> {
  await mkdir(dataDir, { recursive: true });
  const lock = lockDataDir(dataDir);
  const engine = await openEngine(dataDir).catch((error) => {
    lock.release();
    throw error;
  });
  return {
    db: new Kysely<Schema>({ dialect: new PGliteDialect({ pglite: asPglite(engine) }) }),
    parallelism: 1,
    get alive() {
      return engine.alive;
    },
    query: async <Row>(statement: string, parameters: readonly unknown[]) => {
      const { rows } = await engine.runAlone(statement, parameters);
      return rows as readonly Row[];
    },
    close: async () => {
      await engine.close();
      lock.release();
    },
  };
}
