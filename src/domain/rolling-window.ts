/** What a limit a minute looks back on. */
export const windowMs = 60_000;

/**
 * How finely it looks: what happened in one such piece of time leaves the window together, when all of it has.
 * So a window is exact on the safe side, needs 121 counts however high its limit, and steady traffic gets
 * 60 / 60.5 of its limit.
 */
export const bucketMs = 500;

/** The piece of a window's own time that something counts in, to correct it later. */
export interface Bucket {
  readonly index: number;
  /** Of the window since it was last empty: afterwards a clock that stepped back gives the same names again. */
  readonly life: object;
}

function indexAt(ownMs: number): number {
  return Math.floor(ownMs / bucketMs);
}

/** When, in the window's own time, what counts in this bucket has left. */
function leavesAtMs(index: number): number {
  return (index + 1) * bucketMs + windowMs;
}

/**
 * How much was counted in the last minute, of requests or of tokens. Time is milliseconds of any clock. The
 * window's own time never steps back: where the clock does, it goes on from the last bucket that was counted
 * in, so that nothing leaves early, nothing stays for ever, and each bucket keeps its name.
 */
export class RollingWindow {
  /** Oldest first. A bucket stays until it leaves, also with a count of zero: it may be corrected. */
  readonly #counts = new Map<number, number>();
  #total = 0;
  #last = 0;
  /** By how much the window's own time is ahead of the clock. */
  #aheadMs = 0;
  #life: object = {};

  /** What counts at this time. */
  totalAt(nowMs: number): number {
    this.#enter(nowMs);
    return this.#total;
  }

  /** Whether nothing was counted that hasn't left: then the window need not be kept. */
  isOverAt(nowMs: number): boolean {
    this.#enter(nowMs);
    return this.#counts.size === 0;
  }

  add(nowMs: number, amount: number): Bucket {
    this.#last = indexAt(this.#enter(nowMs));
    this.#counts.set(this.#last, (this.#counts.get(this.#last) ?? 0) + amount);
    this.#total += amount;
    return { index: this.#last, life: this.#life };
  }

  /** What was counted turned out to be more or less. What has left the window stays as it was. */
  correct(nowMs: number, { index, life }: Bucket, change: number): void {
    this.#enter(nowMs);
    const count = this.#counts.get(index);
    if (count === undefined || life !== this.#life) return;
    this.#counts.set(index, count + change);
    this.#total += change;
  }

  /** How long until `amount` fits under the limit if nothing else comes; null where it never does. */
  fitsInMs(nowMs: number, amount: number, limit: number): number | null {
    if (amount > limit) return null;
    const ownMs = this.#enter(nowMs);
    let left = this.#total;
    if (left + amount <= limit) return 0;
    for (const [index, count] of this.#counts) {
      left -= count;
      if (left + amount <= limit) return leavesAtMs(index) - ownMs;
    }
    return null;
  }

  /** How long until nothing counts any more if nothing else comes. */
  emptiesInMs(nowMs: number): number {
    const ownMs = this.#enter(nowMs);
    return this.#total === 0 ? 0 : leavesAtMs(this.#last) - ownMs;
  }

  /** Forgets what has left. @returns the window's own time */
  #enter(nowMs: number): number {
    if (this.#counts.size === 0) return nowMs;
    if (indexAt(nowMs + this.#aheadMs) < this.#last) this.#aheadMs = this.#last * bucketMs - nowMs;
    for (const [index, count] of this.#counts) {
      if (leavesAtMs(index) > nowMs + this.#aheadMs) break;
      this.#counts.delete(index);
      this.#total -= count;
    }
    if (this.#counts.size === 0) {
      this.#aheadMs = 0;
      this.#life = {};
    }
    return nowMs + this.#aheadMs;
  }
}
