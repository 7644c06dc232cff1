import { certainText } from '../domain/certain-text.ts';
import type { Countable, Counted, Tokenizer } from '../tokenizer/tokenizer.ts';

/**
 * Counts the tokens of one stream again and again while it grows: the prompt once, and of what was generated only what
 * came since. What it counts is certain however the stream goes on: a sum of parts is never above the whole.
 */
export class DeliveredCounter implements Pick<Tokenizer, 'count' | 'learn'> {
  readonly #tokenizer: Pick<Tokenizer, 'count'>;
  #input: Promise<number> | null = null;
  /** How far each text is counted, and how many tokens that is. */
  #counted: { readonly lengths: readonly number[]; readonly tokens: number } = { lengths: [], tokens: 0 };

  constructor(tokenizer: Pick<Tokenizer, 'count'>) {
    this.#tokenizer = tokenizer;
  }

  async count(model: string, { side, countable }: Counted): Promise<number> {
    if (side === 'output') return await this.#countOutput(model, countable);
    this.#input ??= this.#tokenizer.count(model, { side, countable, isCutOff: true });
    try {
      return await this.#input;
    } catch (error) {
      this.#input = null;
      throw error;
    }
  }

  learn(): void {
    // What is not over teaches nothing.
  }

  async #countOutput(model: string, { texts }: Countable): Promise<number> {
    const { lengths, tokens } = this.#countedOf(texts);
    const tails = texts.map((text, index) => text.slice(lengths[index] ?? 0));
    // Each that has begun counts one for its last piece, which is counted anew with what comes.
    const open = tails.filter((tail) => tail !== '').length;
    if (open === 0) return tokens;
    const countable = { texts: tails, overhead: 0 };
    const counted = await this.#tokenizer.count(model, { side: 'output', countable, isCutOff: true });
    const kept = tokens + Math.max(0, counted - open);
    this.#counted = {
      lengths: tails.map((tail, index) => certainText(tail).length + (lengths[index] ?? 0)),
      tokens: kept,
    };
    return kept + open;
  }

  /** Of nothing where these aren't the same texts, grown. */
  #countedOf(texts: readonly string[]): { readonly lengths: readonly number[]; readonly tokens: number } {
    const { lengths } = this.#counted;
    const hasGrown =
      texts.length === lengths.length && texts.every((text, index) => text.length >= (lengths[index] ?? 0));
    return hasGrown ? this.#counted : { lengths: [], tokens: 0 };
  }
}
