/** How many bytes of one kind may be held at one time, over all who hold some. */
export class ByteBudget {
  readonly limit: number;
  #held = 0;

  /** @param limit bytes */
  constructor(limit: number) {
    this.limit = limit;
  }

  get held(): number {
    return this.#held;
  }

  /** Whoever holds bytes of it, from nothing on. */
  open(): HeldBytes {
    return new HeldBytes(this);
  }

  /** @returns false where that would be more than the limit less `spare`: nothing was taken then */
  take(bytes: number, spare = 0): boolean {
    if (this.#held + bytes > this.limit - spare) return false;
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** What one of them holds, and gives back at once. */
export class HeldBytes {
  readonly #budget: ByteBudget;
  #bytes = 0;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number, spare = 0): boolean {
    const isTaken = this.#budget.take(bytes, spare);
    if (isTaken) this.#bytes += bytes;
    return isTaken;
  }

  letGo(): void {
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
  }
}
