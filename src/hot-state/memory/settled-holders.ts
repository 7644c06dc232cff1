import type { Clock } from '../../domain/clock.ts';
import type { TransactionId } from '../../domain/ids.ts';

/**
 * For so long, and for so many, a settled request is recognised: longer than a snapshot takes from the
 * ledger to here. A later repeat is recognised by the ledger.
 */
const settledForMs = 30_000;
const maxSettled = 200_000;

/** Requests settled a short while ago, oldest first. */
export class SettledHolders {
  readonly #until = new Map<TransactionId, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(holder: TransactionId): void {
    const now = this.#clock.monotonic();
    for (const [known, until] of this.#until) {
      if (until > now && this.#until.size < maxSettled) break;
      this.#until.delete(known);
    }
    this.#until.set(holder, now + settledForMs);
  }

  has(holder: TransactionId): boolean {
    const until = this.#until.get(holder);
    return until !== undefined && until > this.#clock.monotonic();
  }
}
