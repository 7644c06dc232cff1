import { certainText } from '../domain/certain-text.ts';
import type { Countable } from '../tokenizer/tokenizer.ts';

/** A UTF-16 code unit is three bytes of UTF-8 at most, and no vocabulary has a token of less than a byte. */
const bytesPerUnit = 3;

/**
 * At most how many tokens an answer has so far. Looked at for each event, it has to be cheap, so it begins
 * with the length of the text, and is made tighter where it matters: by its bytes, then by counting what came
 * since it was counted last.
 */
export class OutputBound {
  readonly #countTexts: (texts: readonly string[]) => Promise<number>;
  /** How far each text is counted, and how many tokens that is. */
  #counted: { readonly lengths: readonly number[]; readonly tokens: number } = { lengths: [], tokens: 0 };
  /** The tightest bound that is known, and for how much text. */
  #base = { length: 0, tokens: 0 };

  constructor(countTexts: (texts: readonly string[]) => Promise<number>) {
    this.#countTexts = countTexts;
  }

  byLength({ texts, overhead }: Countable): number {
    const grown = lengthOf(texts) - this.#base.length;
    if (grown >= 0) return overhead + this.#base.tokens + grown * bytesPerUnit;
    // A provider took something back; what was counted of it says nothing any more.
    this.#counted = { lengths: [], tokens: 0 };
    this.#base = { length: 0, tokens: 0 };
    return overhead + lengthOf(texts) * bytesPerUnit;
  }

  byBytes({ texts, overhead }: Countable): number {
    const { tails, tokens } = this.#uncounted(texts);
    this.#base = { length: lengthOf(texts), tokens: tokens + bytesOf(tails) };
    return overhead + this.#base.tokens;
  }

  /** How much of it was never counted. */
  uncountedBytes({ texts }: Countable): number {
    return bytesOf(this.#uncounted(texts).tails);
  }

  /**
   * One at a time. Of each text the last piece stays uncounted, since what comes may change how it is split
   * into tokens: counts of parts that end elsewhere may add up to less than the whole.
   */
  async count({ texts }: Countable): Promise<void> {
    const { tails, tokens } = this.#uncounted(texts);
    const certain = tails.map(certainText);
    const counted = tokens + (await this.#countTexts(certain));
    const rests = tails.map((tail, index) => tail.slice(certain[index]?.length ?? 0));
    this.#counted = {
      lengths: texts.map((text, index) => text.length - (rests[index]?.length ?? 0)),
      tokens: counted,
    };
    this.#base = { length: lengthOf(texts), tokens: counted + bytesOf(rests) };
  }

  /** What came behind the texts that are counted; all, where a text has come between them or is shorter. */
  #uncounted(texts: readonly string[]): { readonly tails: readonly string[]; readonly tokens: number } {
    const { lengths, tokens } = this.#counted;
    const goesOn =
      texts.length === lengths.length && texts.every((text, index) => text.length >= (lengths[index] ?? 0));
    return goesOn
      ? { tails: texts.map((text, index) => text.slice(lengths[index])), tokens }
      : { tails: texts, tokens: 0 };
  }
}

function lengthOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}
