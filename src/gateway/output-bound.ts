import { certainText } from '../domain/certain-text.ts';
import type { Countable } from '../tokenizer/tokenizer.ts';
import { countedBefore, nothingCounted, uncounted } from './counted-texts.ts';

/** A UTF-16 code unit is three bytes of UTF-8 at most, and no vocabulary has a token of less than a byte. */
const bytesPerUnit = 3;

/**
 * At most how many tokens an answer has so far. Looked at for each event, it has to be cheap, so it begins
 * with the length of the text, and is made tighter where it matters: by its bytes, then by counting what came
 * since it was counted last.
 */
export class OutputBound {
  readonly #countTexts: (texts: readonly string[]) => Promise<number>;
  #counted = nothingCounted;
  /** The tightest bound that is known, and for how much text. */
  #base = { length: 0, tokens: 0 };

  constructor(countTexts: (texts: readonly string[]) => Promise<number>) {
    this.#countTexts = countTexts;
  }

  byLength({ texts, overhead }: Countable): number {
    const grown = lengthOf(texts) - this.#base.length;
    if (grown >= 0) return overhead + this.#base.tokens + grown * bytesPerUnit;
    // A provider took something back; what was counted of it says nothing any more.
    this.#counted = nothingCounted;
    this.#base = { length: 0, tokens: 0 };
    return overhead + lengthOf(texts) * bytesPerUnit;
  }

  byBytes({ texts, overhead }: Countable): number {
    const { tails, tokens } = uncounted(this.#counted, texts);
    this.#base = { length: lengthOf(texts), tokens: tokens + bytesOf(tails) };
    return overhead + this.#base.tokens;
  }

  /** How much of it was never counted. */
  uncountedBytes({ texts }: Countable): number {
    return bytesOf(uncounted(this.#counted, texts).tails);
  }

  /**
   * One at a time. Of each text the last piece stays uncounted, since what comes may change how it is split
   * into tokens: counts of parts that end elsewhere may add up to less than the whole.
   */
  async count({ texts }: Countable): Promise<void> {
    const { tails, tokens } = uncounted(this.#counted, texts);
    const certain = tails.map(certainText);
    const counted = tokens + (await this.#countTexts(certain));
    const rests = tails.map((tail, index) => tail.slice(certain[index]?.length ?? 0));
    this.#counted = countedBefore(texts, rests, counted);
    this.#base = { length: lengthOf(texts), tokens: counted + bytesOf(rests) };
  }
}

function lengthOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}
