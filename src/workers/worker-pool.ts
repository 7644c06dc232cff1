import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../domain/errors.ts';

/** A process of ours that serves, as its supervisor sees it. */
export interface WorkerProcess {
  readonly pid: number | undefined;
  onListening(callback: () => void): void;
  /** Called once, with how it ended. */
  onEnd(callback: (how: string) => void): void;
  /** Tells it that the start is complete. */
  accept(): void;
  /** Tells it to finish what runs and to end. */
  drain(): void;
  /** Ends it at once. */
  kill(): void;
  /** What it has counted, as it says it; null where it can't be asked any more. */
  metrics(): Promise<unknown>;
}

/** An end that nobody asked for. */
export interface WorkerEnd {
  readonly pid: number | undefined;
  readonly how: string;
  /** After this long another one is started. */
  readonly pauseMs: number;
}

export interface WorkerPoolOptions {
  readonly count: number;
  readonly fork: () => WorkerProcess;
  readonly onEnd: (end: WorkerEnd) => void;
  /** How long a worker may take to drain; longer, and it is killed. */
  readonly drainsWithinMs: number;
  readonly firstPauseMs?: number;
  readonly longestPauseMs?: number;
  /** One that lived so long is started again as if it was the first time. */
  readonly soundAfterMs?: number;
}

/** So many workers in a row may end before they listen. */
const mostFailedStarts = 5;

/**
 * Keeps so many workers running: one that ends is started again, after a pause that doubles as long as it
 * ends soon after its start. Workers that end at their start give up only where nobody serves yet or any
 * more: a server that is away for a while must not end those that wait for it.
 */
export class WorkerPool {
  readonly #options: Required<WorkerPoolOptions>;
  readonly #living = new Set<WorkerProcess>();
  readonly #listening = new Set<WorkerProcess>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  readonly #all = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<Fault>();
  readonly #gone = Promise.withResolvers<void>();
  #isComplete = false;
  #isAccepting = false;
  #isStopping = false;
  #failedStarts = 0;

  constructor(options: WorkerPoolOptions) {
    this.#options = { firstPauseMs: 100, longestPauseMs: 10_000, soundAfterMs: 10_000, ...options };
    // Whoever started it may have failed meanwhile and not ask any more.
    this.#all.promise.catch(() => undefined);
    for (let index = 0; index < options.count; index++) this.#start(0);
  }

  /** Resolves when all of them listen for the first time. Rejects with a Fault where that can't be. */
  get listening(): Promise<void> {
    return this.#all.promise;
  }

  /** Resolves with the reason once none serves and none can be started any more. */
  get failed(): Promise<Fault> {
    return this.#failed.promise;
  }

  /** Those that serve, begin to or drain. */
  get living(): ReadonlySet<WorkerProcess> {
    return this.#living;
  }

  /** From now on whoever listens is told that the start is complete. */
  accept(): void {
    this.#isAccepting = true;
    for (const worker of this.#listening) worker.accept();
  }

  /** Drains all and waits for their end; whether none had to be killed. */
  async stop(): Promise<boolean> {
    this.#startNone();
    if (this.#living.size === 0) return true;
    for (const worker of this.#living) worker.drain();
    const over = new AbortController();
    const late = sleep(this.#options.drainsWithinMs, false, { signal: over.signal }).catch(() => false);
    const inTime = await Promise.race([this.#gone.promise.then(() => true), late]);
    over.abort();
    this.kill();
    await this.#gone.promise;
    return inTime;
  }

  /** Ends all at once. */
  kill(): void {
    this.#startNone();
    for (const worker of this.#living) worker.kill();
  }

  #start(quickEnds: number): void {
    const startedAtMs = performance.now();
    const worker = this.#options.fork();
    this.#living.add(worker);
    worker.onListening(() => this.#listens(worker));
    worker.onEnd((how) => {
      this.#living.delete(worker);
      const listened = this.#listening.delete(worker);
      const isSound = listened && performance.now() - startedAtMs >= this.#options.soundAfterMs;
      if (!listened) this.#failedStarts++;
      if (!this.#isStopping) this.#startAgain(worker, how, isSound ? 0 : quickEnds);
      else if (this.#living.size === 0) this.#gone.resolve();
    });
  }

  #listens(worker: WorkerProcess): void {
    this.#listening.add(worker);
    this.#failedStarts = 0;
    // It was told before, perhaps, when it could not hear it yet.
    if (this.#isStopping) worker.drain();
    else if (this.#isAccepting) worker.accept();
    if (this.#listening.size < this.#options.count) return;
    this.#isComplete = true;
    this.#all.resolve();
  }

  #startAgain({ pid }: WorkerProcess, how: string, quickEnds: number): void {
    const { firstPauseMs, longestPauseMs, onEnd } = this.#options;
    const pauseMs = Math.min(firstPauseMs * 2 ** quickEnds, longestPauseMs);
    onEnd({ pid, how, pauseMs });
    const nobodyServes = !this.#isComplete || this.#listening.size === 0;
    if (this.#failedStarts >= mostFailedStarts && nobodyServes) {
      this.#giveUp();
      return;
    }
    const restart = setTimeout(() => {
      this.#restarts.delete(restart);
      this.#start(quickEnds + 1);
    }, pauseMs);
    this.#restarts.add(restart);
  }

  #giveUp(): void {
    this.#startNone();
    const fault = new Fault(
      'INTERNAL',
      `Workers ended ${this.#failedStarts} times in a row when they started: their own messages say why.`,
    );
    this.#all.reject(fault);
    this.#failed.resolve(fault);
  }

  #startNone(): void {
    this.#isStopping = true;
    for (const restart of this.#restarts) clearTimeout(restart);
    this.#restarts.clear();
  }
}
