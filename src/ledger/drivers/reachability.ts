import { Fault } from '../../domain/errors.ts';
import { Roster } from '../../domain/roster.ts';

export interface ReachabilityOptions {
  /** Whether the engine takes a new connection, answered within a bounded time; never rejects. */
  readonly probe: () => Promise<boolean>;
  /** How long an answer may take before the engine is asked whether it is there at all. */
  readonly patienceMs: number;
  /** How long a failed probe counts without another one. */
  readonly rememberMs: number;
}

/** The engine can't be reached, or gave no answer: what was sent may have been done or not. */
export function unavailable(cause: unknown): Fault {
  return new Fault('LEDGER_UNAVAILABLE', 'The ledger is not available. Nothing was charged.', { cause });
}

/**
 * Tells a slow statement from an engine that is gone without a word: a frozen machine or a network
 * that swallows packets closes no connection, and a timeout alone would have to be either too short for
 * a large batch or too long for whoever waits. A slow statement goes on as long as the engine takes new
 * connections; once it doesn't, everything that waits is answered at once.
 */
export class Reachability {
  readonly #options: ReachabilityOptions;
  readonly #waiting = new Roster<(error: Fault) => void>();
  #probing: Promise<boolean> | null = null;
  #lostAtMs: number | null = null;

  constructor(options: ReachabilityOptions) {
    this.#options = options;
  }

  /**
   * The answer of `work`, waited for as long as the engine can be reached.
   * @throws Fault LEDGER_UNAVAILABLE when it can't be
   */
  async answerOf<T>(work: () => Promise<T>): Promise<T> {
    if (this.#lostAtMs !== null) await this.#refuseWhileLost(this.#lostAtMs);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const patience = setInterval(() => this.#probe(), this.#options.patienceMs);
    const place = this.#waiting.enter(reject);
    try {
      work().then(resolve, reject);
      return await promise;
    } finally {
      clearInterval(patience);
      this.#waiting.leave(reject, place);
    }
  }

  async #refuseWhileLost(lostAtMs: number): Promise<void> {
    const remembered = performance.now() - lostAtMs < this.#options.rememberMs;
    if (remembered || !(await this.#probe())) throw unavailable(new Error('the engine does not answer'));
  }

  /** One probe at a time, whoever asks. */
  #probe(): Promise<boolean> {
    this.#probing ??= this.#options.probe().then((reached) => {
      this.#probing = null;
      this.#lostAtMs = reached ? null : performance.now();
      if (!reached) {
        for (const reject of this.#waiting.all())
          reject(unavailable(new Error('the engine stopped answering')));
      }
      return reached;
    });
    return this.#probing;
  }
}
