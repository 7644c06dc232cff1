import { certainPart } from '../../src/tokenizer/cut-off.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { tokensOf } from './upstream-script.ts';

/** Counts without a thread: counting is not what a simulation is about. What broke off counts as it does in ours. */
export const simulatedTokenizer: Tokenizer = {
  count: async (_model, { side, countable, isCutOff }) => {
    const { texts, overhead } = isCutOff && side === 'output' ? certainPart(countable) : countable;
    return texts.reduce((sum, text) => sum + tokensOf(text), overhead);
  },
  learn: () => undefined,
  factors: () => [],
  close: async () => undefined,
};
