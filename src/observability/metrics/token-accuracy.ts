import { accuracyPercent } from '../../domain/accuracy.ts';

interface Sums {
  counted: number;
  reported: number;
}

/** What was compared lately counts for more: of a hundred streams ago, a twentieth is left. */
const keptShare = 0.97;

/** How near our counts come to the providers' over many streams: what each is off by makes up for others'. */
export class TokenAccuracySums {
  readonly #sums = new Map<string, Sums>();

  /** @returns 0 to 100, with this stream */
  add(model: string, counted: number, reported: number): number {
    const sums = this.#sums.get(model) ?? { counted: 0, reported: 0 };
    sums.counted = sums.counted * keptShare + counted;
    sums.reported = sums.reported * keptShare + reported;
    this.#sums.set(model, sums);
    return accuracyPercent(sums.counted, sums.reported);
  }
}
