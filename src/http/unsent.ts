import type { ServerResponse } from 'node:http';
import type { Clock, Timers } from '../domain/clock.ts';

/** So long anyone may wait, however many others do: a network that falters for a moment is no offence. */
const spareMs = 5_000;
const reviewMs = 1_000;

interface Waiting {
  readonly bytes: number;
  readonly sinceMs: number;
}

/**
 * What waits in this process for clients that don't take it, over all of them. Where that is too much, who has
 * waited longest is broken off: a crowd that never reads costs its own answers, and nobody else's.
 */
export class UnsentAnswers {
  readonly #maxBytes: number;
  readonly #clock: Clock & Timers;
  /** In the order in which they began to wait. */
  readonly #waiting = new Map<ServerResponse, Waiting>();
  #bytes = 0;
  #isReviewDue = false;

  constructor(maxBytes: number, clock: Clock & Timers) {
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  hold(response: ServerResponse, bytes: number): void {
    this.letGo(response);
    this.#waiting.set(response, { bytes, sinceMs: this.#clock.monotonic() });
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) this.#reviewSoon();
  }

  letGo(response: ServerResponse): void {
    this.#bytes -= this.#waiting.get(response)?.bytes ?? 0;
    this.#waiting.delete(response);
  }

  #reviewSoon(): void {
    if (this.#isReviewDue) return;
    this.#isReviewDue = true;
    this.#clock.after(reviewMs, () => {
      this.#isReviewDue = false;
      this.#review();
    });
  }

  #review(): void {
    const patientUntilMs = this.#clock.monotonic() - spareMs;
    for (const [response, { sinceMs }] of this.#waiting) {
      if (this.#bytes <= this.#maxBytes || sinceMs > patientUntilMs) break;
      this.letGo(response);
      response.destroy();
    }
    if (this.#bytes > this.#maxBytes) this.#reviewSoon();
  }
}
