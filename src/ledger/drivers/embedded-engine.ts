import { Worker } from 'node:worker_threads';
import { Fault } from '../../domain/errors.ts';
import { engineError, SqlError } from './driver.ts';

export interface WorkerRequest {
  readonly id: number;
  readonly statement: string;
  readonly parameters: readonly unknown[];
  /** Planned once, of look-ups by keys alone. */
  readonly byKeys: boolean;
}

export type WorkerAnswer =
  | { readonly id: number; readonly rows: readonly unknown[]; readonly affectedRows?: number | undefined }
  /** `isEnd`: the engine is not to be asked again. */
  | { readonly id: number; readonly error: string; readonly sqlState: string; readonly isEnd: boolean };

export interface Result {
  readonly rows: readonly unknown[];
  readonly affectedRows?: number | undefined;
}

interface Waiting {
  resolve(result: Result): void;
  reject(error: Error): void;
}

/** A disk that takes nothing more may keep the engine from closing: what was answered is durable all the same. */
const closesWithinMs = 10_000;

/** The embedded engine behind its thread: statements in, rows out, and the fate of the thread. */
export class EmbeddedEngine {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #nextId = 0;
  #failure: Fault | null = null;
  /** Resolves when no transaction is open: the engine has one connection, which a transaction owns. */
  #exclusive: Promise<void> = Promise.resolve();

  constructor(dataDir: string) {
    this.#worker = new Worker(new URL('./pglite-worker.ts', import.meta.url), { workerData: { dataDir } });
    this.#worker.on('message', (message: WorkerAnswer | 'ready' | 'closed') => this.#receive(message));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => {
      this.#fail(new Error('the thread of the embedded ledger ended'));
      this.#ended.resolve();
    });
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves when nothing of it is left that could write: its files may be opened again. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Why it takes no statements any more; null while it does. */
  get failure(): Fault | null {
    return this.#failure;
  }

  run(statement: string, parameters: readonly unknown[], byKeys = false): Promise<Result> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const id = this.#nextId++;
    this.#waiting.set(id, { resolve, reject });
    this.#worker.postMessage({ id, statement, parameters, byKeys } satisfies WorkerRequest);
    return promise;
  }

  /** Runs a statement when no transaction of someone else is open. */
  async runAlone(statement: string, parameters: readonly unknown[], byKeys = false): Promise<Result> {
    await this.#exclusive;
    return await this.run(statement, parameters, byKeys);
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
    const bound = setTimeout(() => this.#closed.resolve(), closesWithinMs);
    await this.#closed.promise;
    clearTimeout(bound);
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
    if (!('error' in answer)) waiting?.resolve(answer);
    else {
      waiting?.reject(engineError(answer.error, answer.sqlState));
      if (answer.isEnd) this.#fail(new SqlError(answer.error, answer.sqlState));
    }
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
    void this.#worker.terminate();
  }
}
