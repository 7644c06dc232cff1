/** Time in which something kept a process from its work. */
interface Trouble {
  readonly fromMs: number;
  /** Null: until whatever comes next. */
  untilMs: number | null;
}

/** Whoever was kept from something tries it again within this time. */
const againWithinMs = 600;
/** A call that is answered sooner keeps nobody from anything. */
const slowMs = 200;

/**
 * When a process couldn't do what it promises: it was frozen, or calls that this waits for failed, were slow or were never
 * answered. What it promises to do within a time is promised for time without such trouble.
 */
export class Troubles {
  readonly #all: Trouble[] = [];

  /** @returns what is to be called when it is over */
  begin(fromMs: number): (atMs: number, isFailure: boolean) => void {
    const trouble: Trouble = { fromMs, untilMs: null };
    this.#all.push(trouble);
    return (atMs, isFailure) => {
      const wasTrouble = isFailure || atMs - fromMs > slowMs;
      trouble.untilMs = wasTrouble ? atMs + againWithinMs : fromMs;
    };
  }

  add(fromMs: number, untilMs: number): void {
    this.#all.push({ fromMs, untilMs: untilMs + againWithinMs });
  }

  /** The latest moment since which, until `endMs`, so much time has passed without trouble. */
  before(endMs: number, ms: number): number {
    const intervals = this.#all
      .map(({ fromMs, untilMs }) => ({ fromMs, untilMs: Math.min(untilMs ?? endMs, endMs) }))
      .filter(({ fromMs, untilMs }) => fromMs < untilMs)
      .sort((a, b) => b.untilMs - a.untilMs);
    let atMs = endMs;
    let leftMs = ms;
    for (const { fromMs, untilMs } of intervals) {
      const freeMs = Math.max(0, atMs - untilMs);
      if (freeMs >= leftMs) break;
      leftMs -= freeMs;
      atMs = Math.min(atMs, fromMs);
    }
    return atMs - leftMs;
  }
}
