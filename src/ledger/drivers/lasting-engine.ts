import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../../domain/errors.ts';
import type { EmbeddedEngine } from './embedded-engine.ts';
import { unavailable } from './reachability.ts';

const firstPauseMs = 250;
const longestPauseMs = 5_000;
/** One that ends sooner than this has ended for the same reason as the one before. */
const lastingMs = 60_000;

/**
 * The engine, and another one on the same files when it ends. A disk that takes nothing more ends it, since its
 * log can't go on: whatever was answered is in its files, and the next one finds it there as after a crash. While
 * there is none, every statement is refused.
 */
export class LastingEngine {
  readonly #open: () => Promise<EmbeddedEngine>;
  readonly #closing = new AbortController();
  readonly #lasting: Promise<void>;
  #current: EmbeddedEngine;
  /** Why the last attempt to open another one failed. */
  #notOpened: Fault | null = null;

  constructor(first: EmbeddedEngine, open: () => Promise<EmbeddedEngine>) {
    this.#current = first;
    this.#open = open;
    this.#lasting = this.#last();
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /**
   * The one to ask.
   * @throws Fault LEDGER_UNAVAILABLE where there is none that could be opened
   */
  current(): EmbeddedEngine {
    if (this.#notOpened !== null) throw this.#notOpened;
    return this.#current;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#current.close();
    await this.#lasting;
  }

  async #last(): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!this.closed) {
      const sinceMs = performance.now();
      await this.#current.ended;
      if (performance.now() - sinceMs > lastingMs) pauseMs = firstPauseMs;
      pauseMs = await this.#reopen(pauseMs);
    }
  }

  /** @returns how long to wait before the next time */
  async #reopen(afterMs: number): Promise<number> {
    for (let pauseMs = afterMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const { signal } = this.#closing;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      if (this.closed) return pauseMs;
      try {
        await this.#take(await this.#open());
        return Math.min(pauseMs * 2, longestPauseMs);
      } catch (error) {
        this.#notOpened = unavailable(error);
      }
    }
  }

  /** One that comes too late is closed again. */
  async #take(engine: EmbeddedEngine): Promise<void> {
    if (this.closed) await engine.close();
    this.#current = engine;
    this.#notOpened = null;
  }
}
