const firstCapacity = 16 * 1024;

/**
 * Bytes one behind the other, in one buffer that doubles. Kept as the pieces in which they come, those of
 * a byte each would take a hundred times their size.
 */
export class GatheredBytes {
  readonly #maxBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  /** @param maxBytes the buffer grows to no more, as long as no more is added */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#length;
  }

  add(chunk: Buffer): void {
    const needed = this.#length + chunk.length;
    if (this.#length === 0 && (needed >= this.#maxBytes || chunk.buffer.byteLength <= firstCapacity)) {
      // All of it has come at once; or, as far as anybody knows: its memory is no more than ours would be.
      this.#buffer = chunk;
      this.#length = needed;
      return;
    }
    // What is behind a chunk isn't ours, so one that was kept as it came has no room.
    if (needed > this.#buffer.length) this.#grow(needed);
    chunk.copy(this.#buffer, this.#length);
    this.#length = needed;
  }

  /** All of them, not copied; none is kept. */
  takeAll(): Buffer {
    const all = this.#buffer.subarray(0, this.#length);
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
    return all;
  }

  #grow(needed: number): void {
    const doubled = Math.min(Math.max(firstCapacity, 2 * this.#buffer.length), this.#maxBytes);
    // Its own memory: a small piece of the pool that all share would keep the whole of it.
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, doubled));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
