import { mulberry32 } from '../../src/simulator/random.ts';

/** The one source of chance of a run: its seed decides everything. */
export class Chance {
  readonly #next: () => number;

  constructor(seed: number) {
    const words = mulberry32(seed);
    // Neighbouring seeds begin alike.
    for (let drawn = 0; drawn < 8; drawn++) words();
    this.#next = words;
  }

  /** Uniform in [0, 1). */
  readonly unit = (): number => this.#next() / 2 ** 32;

  /** Whether something of this probability happens. */
  happens(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  /** A number from `from` up to, and without, `to`. */
  between(from: number, to: number): number {
    return from + this.unit() * (to - from);
  }

  /** A whole number from `from` up to and with `to`. */
  whole(from: number, to: number): number {
    return Math.floor(this.between(from, to + 1));
  }

  pick<T>(values: readonly T[]): T {
    const value = values[Math.floor(this.unit() * values.length)];
    if (value === undefined) throw new Error('nothing to pick from');
    return value;
  }

  /** Mostly short, seldom very long: milliseconds around `typicalMs`. */
  delayMs(typicalMs: number): number {
    return typicalMs * (0.2 - Math.log(1 - this.unit()));
  }
}
