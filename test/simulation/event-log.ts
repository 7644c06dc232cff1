/** What happened in a run: a hash of all of it, and the last lines, or every line where they are wanted. */
export class EventLog {
  readonly #kept: number;
  readonly #lines: string[] = [];
  #low = 0xdeadbeef;
  #high = 0x41c6ce57;
  #startMs: number | null = null;
  onLine: ((line: string) => void) | null = null;

  /** @param kept how many of the last lines are kept */
  constructor(kept = 60) {
    this.#kept = kept;
  }

  add(nowMs: number, text: string): void {
    this.#startMs ??= nowMs;
    const line = `${((nowMs - this.#startMs) / 1000).toFixed(4).padStart(10)} ${text}`;
    this.#mix(line);
    this.#lines.push(line);
    if (this.#lines.length > 2 * this.#kept) this.#lines.splice(0, this.#lines.length - this.#kept);
    this.onLine?.(line);
  }

  get lastLines(): readonly string[] {
    return this.#lines.slice(-this.#kept);
  }

  /** Equal where two runs had the same events in the same order at the same times. */
  get hash(): string {
    return (this.#high >>> 0).toString(16).padStart(8, '0') + (this.#low >>> 0).toString(16).padStart(8, '0');
  }

  /** Two multiplicative hashes side by side, as in cyrb53: the runtime's own are of things that a run may break. */
  #mix(line: string): void {
    for (let index = 0; index < line.length; index++) {
      const unit = line.charCodeAt(index);
      this.#low = Math.imul(this.#low ^ unit, 2654435761);
      this.#high = Math.imul(this.#high ^ unit, 1597334677);
    }
    this.#low = Math.imul(this.#low ^ (this.#low >>> 16), 2246822507) ^ (this.#high >>> 13);
    this.#high = Math.imul(this.#high ^ (this.#high >>> 16), 2246822507) ^ (this.#low >>> 13);
  }
}
