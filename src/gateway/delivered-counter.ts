import { certainText } from '../domain/certain-text.ts';
import type { Countable, Counted, Tokenizer } from '../tokenizer/tokenizer.ts';
import { countedBefore, nothingCounted, uncounted } from './counted-texts.ts';

/**
 * Counts the tokens of one stream again and again while it grows: the prompt once, and of what was generated only what
 * came since. What it counts is certain however the stream goes on: a sum of parts is never above the whole.
 */
export class DeliveredCounter implements Pick<Tokenizer, 'count' | 'learn'> {
  readonly #tokenizer: Pick<Tokenizer, 'count'>;
  #input: Promise<number> | null = null;
  #counted = nothingCounted;

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
    const { tails, tokens } = uncounted(this.#counted, texts);
    // Each that has begun counts one for its last piece, which is counted anew with what comes.
    const open = tails.filter((tail) => tail !== '').length;
    if (open === 0) return tokens;
    const countable = { texts: tails, overhead: 0 };
    const counted = await this.#tokenizer.count(model, { side: 'output', countable, isCutOff: true });
    const kept = tokens + Math.max(0, counted - open);
    const rests = tails.map((tail) => tail.slice(certainText(tail).length));
    this.#counted = countedBefore(texts, rests, kept);
    return kept + open;
  }
}
