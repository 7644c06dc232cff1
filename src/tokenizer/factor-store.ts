import type { TokenFactor } from './tokenizer.ts';

/** What is kept of a factor between two runs. */
export type StoredFactor = Pick<TokenFactor, 'model' | 'side' | 'factorPpm' | 'samples'>;

/** Where learned factors outlive the process. */
export interface FactorStore {
  /** Those that were written last, at most so many. */
  load(most: number): Promise<readonly StoredFactor[]>;
  /** Of several processes that write the same factor, the one that learned it from more answers is kept. */
  save(factors: readonly StoredFactor[]): Promise<void>;
}
