import type { Clock } from '../../domain/clock.ts';
import type { TransactionId } from '../../domain/ids.ts';

/**
 * For so long, and for so many, a settled request is recognised: longer than a snapshot takes from the
 * ledger to here. A later repeat is recognised by the ledger.
 */
const settledForMs = 30_000;
const maxSettled = 200_000;

type UntilMs = Map<TransactionId, number>;

/**
 * Requests settled a short while ago. They are forgotten a generation at a time: to look for the oldest ones in one
 * map goes over all places in it that were theirs.
 */
export class SettledHolders {
  #young: UntilMs = new Map();
  #old: UntilMs = new Map();
  #youngSinceMs: number;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#youngSinceMs = clock.monotonic();
  }

  add(holder: TransactionId): void {
    const now = this.#clock.monotonic();
    if (now - this.#youngSinceMs >= settledForMs || this.#young.size >= maxSettled) {
      // What the old one knows is over by now, unless there are too many.
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngSinceMs = now;
    }
    this.#young.set(holder, now + settledForMs);
  }

  has(holder: TransactionId): boolean {
    const until = this.#young.get(holder) ?? this.#old.get(holder);
    return until !== undefined && until > this.#clock.monotonic();
  }
}
