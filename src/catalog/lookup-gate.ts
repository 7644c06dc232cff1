import { Fault } from '../domain/errors.ts';

export interface LookupGateOptions {
  /** How many lookups run at once. */
  readonly maxRunning: number;
  /** How many may wait for one of those to end. */
  readonly maxWaiting: number;
}

/** Lets a few through at a time, in order: a flood of what no cache can know stays outside SQL. */
export class LookupGate {
  readonly #options: LookupGateOptions;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: LookupGateOptions) {
    this.#options = options;
  }

  /** @throws Fault OVERLOADED when too many wait already. */
  async run<T>(lookup: () => Promise<T>): Promise<T> {
    if (this.#running < this.#options.maxRunning) this.#running++;
    else await this.#placeOfAnother();
    try {
      return await lookup();
    } finally {
      const next = this.#waiting.shift();
      // A place is handed on rather than freed, so that nobody overtakes who waited.
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #placeOfAnother(): Promise<void> {
    if (this.#waiting.length >= this.#options.maxWaiting) {
      throw new Fault('OVERLOADED', 'Too many lookups are waiting. Nothing was charged; try again.');
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
