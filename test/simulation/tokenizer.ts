import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { tokensOf } from './upstream-script.ts';

/** Counts without a thread: counting is not what a simulation is about. */
export const simulatedTokenizer: Tokenizer = {
  count: async (_model, { countable }) =>
    countable.texts.reduce((sum, text) => sum + tokensOf(text), countable.overhead),
  learn: () => undefined,
  factors: () => [],
  close: async () => undefined,
};
