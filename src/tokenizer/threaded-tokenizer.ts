import { Worker } from 'node:worker_threads';
import type { Countable, TextCounter } from './tokenizer.ts';

export interface CountRequest {
  readonly id: number;
  readonly model: string;
  readonly texts: readonly string[];
}

export type CountAnswer =
  | { readonly id: number; readonly tokens: number }
  | { readonly id: number; readonly error: string };

export interface ThreadedTokenizerOptions {
  /** How much text may wait to be counted, in UTF-16 code units. */
  readonly maxWaitingLength?: number;
  /** What runs in the thread; a test may have one that dies. */
  readonly workerUrl?: URL;
}

/** A second or two of work for natural text; whoever comes then is better served by an estimate. */
const defaultMaxWaitingLength = 64 * 1024 * 1024;

/** There is more to count already than a request should wait for. */
export class TokenizerBusyError extends Error {
  override readonly name = 'TokenizerBusyError';
}

interface Waiting {
  readonly length: number;
  resolve(tokens: number): void;
  reject(error: Error): void;
}

/** Counts in one thread, which starts with the first text and is replaced when it dies. */
class ThreadedTokenizer implements TextCounter {
  readonly #maxWaitingLength: number;
  readonly #workerUrl: URL;
  readonly #waiting = new Map<number, Waiting>();
  #waitingLength = 0;
  #worker: Worker | null = null;
  #nextId = 0;
  /** What the thread is asked at the end of this turn of the loop: to wake it costs more than most counts. */
  #unsent: CountRequest[] = [];
  #closed = false;

  constructor({ maxWaitingLength, workerUrl }: ThreadedTokenizerOptions) {
    this.#maxWaitingLength = maxWaitingLength ?? defaultMaxWaitingLength;
    this.#workerUrl = workerUrl ?? new URL('./tokenizer-worker.ts', import.meta.url);
  }

  async count(model: string, { texts, overhead }: Countable): Promise<number> {
    const present = texts.filter((text) => text !== '');
    if (present.length === 0) return overhead;
    if (this.#closed) throw new Error('The tokenizer is closed');
    const length = present.reduce((sum, text) => sum + text.length, 0);
    if (this.#waitingLength + length > this.#maxWaitingLength) {
      throw new TokenizerBusyError(`${this.#waitingLength} characters wait to be counted already`);
    }
    return overhead + (await this.#send(model, present, length));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    if (worker === null) return;
    this.#lose(worker, new Error('The tokenizer was closed'));
    await worker.terminate();
  }

  #send(model: string, texts: readonly string[], length: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const worker = this.#worker ?? this.#start();
    const id = this.#nextId++;
    this.#waiting.set(id, { length, resolve, reject });
    this.#waitingLength += length;
    // Only a count that is awaited keeps the process alive.
    worker.ref();
    if (this.#unsent.length === 0) setImmediate(() => this.#sendAll());
    this.#unsent.push({ id, model, texts });
    return promise;
  }

  #sendAll(): void {
    const requests = this.#unsent;
    this.#unsent = [];
    if (requests.length > 0) this.#worker?.postMessage(requests);
  }

  #start(): Worker {
    const worker = new Worker(this.#workerUrl);
    worker.on('message', (answers: readonly CountAnswer[]) => {
      for (const answer of answers) this.#settle(answer);
    });
    worker.on('error', (cause) => this.#lose(worker, new Error('The counting thread has died', { cause })));
    worker.on('exit', () => this.#lose(worker, new Error('The counting thread has ended')));
    this.#worker = worker;
    return worker;
  }

  #settle(answer: CountAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    this.#waitingLength -= waiting.length;
    if (this.#waiting.size === 0) this.#worker?.unref();
    if ('error' in answer) waiting.reject(new Error(`Counting failed: ${answer.error}`));
    else waiting.resolve(answer.tokens);
  }

  /** The thread is gone: its requests fail, and the next one starts another. */
  #lose(worker: Worker, error: Error): void {
    // An error is followed by an exit, when the next thread may be at work already.
    if (this.#worker !== worker) return;
    this.#worker = null;
    const lost = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#waitingLength = 0;
    this.#unsent = [];
    for (const waiting of lost) waiting.reject(error);
  }
}

export function createThreadedTokenizer(options: ThreadedTokenizerOptions = {}): TextCounter {
  return new ThreadedTokenizer(options);
}
