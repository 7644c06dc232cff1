import { LRUCache } from 'lru-cache';
import { entriesUpTo } from '../domain/entries-up-to.ts';

/** So many answers are remembered; an id and a number each. */
const maxRemembered = 50_000;

/** What a stored context is taken for where neither its length nor the model's longest prompt is known. */
const assumedTokens = 128_000;

/**
 * How long the context is that providers keep for a later request to go on from: the request doesn't show
 * it, and the hold has to cover it. Answers that came through this process are known to the token.
 */
export class RememberedInput {
  readonly #tokens = new LRUCache<string, number>(entriesUpTo(maxRemembered));

  /** @param tokens input and output of the answer together: the prompt of whoever goes on from it */
  remember(answerId: string, tokens: number): void {
    this.#tokens.set(answerId, tokens);
  }

  /** At most how many tokens a request goes on from. */
  tokensOf(answerId: string | null, longestPrompt: number | null): number {
    if (answerId === null) return 0;
    return this.#tokens.get(answerId) ?? longestPrompt ?? assumedTokens;
  }
}
