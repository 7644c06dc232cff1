import { Fault } from '../../domain/errors.ts';
import { SqlError } from './driver.ts';

/** Out of disk, memory or connections; the file system; the engine itself. What it says then is the operator's to read. */
const troubleClasses: ReadonlySet<string> = new Set(['53', '58', 'XX']);

/** Without another one, so long after the last the trouble counts as over. */
const rememberMs = 30_000;

/**
 * What the engine could not do lately. A disk that is full refuses what needs another page, and not every
 * statement does: a heartbeat goes through while no request can be opened.
 */
export class EngineTrouble {
  #last: { readonly message: string; readonly atMs: number } | null = null;

  /** The answer of `work`; where it is that the engine can't, it is remembered. */
  async watch<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  /** What it said, for whoever runs it; null where it has had none lately. */
  tell(): string | null {
    if (this.#last === null || performance.now() - this.#last.atMs > rememberMs) return null;
    return `lately it could not write: ${this.#last.message}`;
  }

  #note(error: unknown): void {
    const cause = error instanceof Fault ? error.cause : null;
    if (!(cause instanceof SqlError) || !troubleClasses.has(cause.sqlState.slice(0, 2))) return;
    this.#last = { message: cause.message, atMs: performance.now() };
  }
}
