import type { ServerResponse } from 'node:http';

/**
 * What waits in this process for clients that don't take it, over all of them. Where that is too much, who has
 * waited longest is broken off: a crowd that never reads costs its own answers, and nobody else's.
 */
export class UnsentAnswers {
  readonly #maxBytes: number;
  /** In the order in which they began to wait. */
  readonly #waiting = new Map<ServerResponse, number>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  hold(response: ServerResponse, bytes: number): void {
    this.letGo(response);
    this.#waiting.set(response, bytes);
    this.#bytes += bytes;
    for (const [oldest] of this.#waiting) {
      if (this.#bytes <= this.#maxBytes) break;
      this.letGo(oldest);
      oldest.destroy();
    }
  }

  letGo(response: ServerResponse): void {
    this.#bytes -= this.#waiting.get(response) ?? 0;
    this.#waiting.delete(response);
  }
}
