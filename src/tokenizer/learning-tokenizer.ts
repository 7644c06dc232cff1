import { LRUCache } from 'lru-cache';
import { entriesUpTo } from '../domain/entries-up-to.ts';
import { certainPart } from './cut-off.ts';
import type { FactorStore, StoredFactor } from './factor-store.ts';
import { TokenFactors } from './token-factors.ts';
import type {
  Countable,
  Counted,
  CountedByProvider,
  Side,
  TextCounter,
  TokenFactor,
  Tokenizer,
} from './tokenizer.ts';
import { vocabularyOf } from './vocabulary.ts';

/** Our count of a stream that its provider counted too. */
export interface ObservedAccuracy {
  readonly model: string;
  readonly side: Side;
  /** Tokens by our count. */
  readonly counted: number;
  /** Tokens as the provider counted them. */
  readonly reported: number;
  /** 0 to 100. */
  readonly percent: number;
}

export interface LearningTokenizerOptions {
  readonly counter: TextCounter;
  readonly store: FactorStore;
  /** What `store` held at the start. */
  readonly known: readonly StoredFactor[];
  /** Told of each stream that was looked at. */
  readonly onAccuracy: (observed: ObservedAccuracy) => void;
  /** Told of what failed beside the requests: counting a sample, keeping what was learned. */
  readonly onFault: (what: string, error: unknown) => void;
  readonly saveEveryMs?: number;
}

/** How many factors are read at the start. */
export const mostStoredFactors = 4_000;

/** The first answers of each model are all looked at, afterwards one of so many, and of what is used a lot fewer. */
const firstSamples = 20;
const sampleEvery = 50;
const oftenUsed = 1_000;
const sampleOftenUsedEvery = 1_000;
const mostSampledModels = 2_000;
/** Longer texts aren't looked at: a count that a bill waits for may have to wait for a sample's. */
const longestSample = 32_768;
const mostSampleTokens = 100_000;

const defaultSaveEveryMs = 30_000;

/** Applies what it learns from answers that their providers counted to those that nobody did. */
class LearningTokenizer implements Tokenizer {
  readonly #options: LearningTokenizerOptions;
  readonly #factors: TokenFactors;
  readonly #seen = new LRUCache<string, number>(entriesUpTo(mostSampledModels));
  /** One sample at a time: the others would delay the counts that bills wait for. */
  #isLearning = false;
  #saving: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: LearningTokenizerOptions) {
    this.#options = options;
    this.#factors = new TokenFactors(options.known);
  }

  async count(model: string, { side, countable, isCutOff }: Counted): Promise<number> {
    const { counter } = this.#options;
    if (!isCutOff) return this.#factors.applied(model, side, await counter.count(model, countable));
    const certain = side === 'output' ? certainPart(countable) : this.#certainPrompt(model, countable);
    return this.#factors.appliedCautiously(model, side, await counter.count(model, certain));
  }

  learn(counted: CountedByProvider): void {
    if (this.#closed || this.#isLearning || counted.sides.length === 0) return;
    const seen = this.#seen.get(counted.model) ?? 0;
    this.#seen.set(counted.model, seen + 1);
    const every = seen < firstSamples ? 1 : seen < oftenUsed ? sampleEvery : sampleOftenUsedEvery;
    if (seen % every !== 0) return;
    this.#isLearning = true;
    // Behind the commit and the answer, which are under way.
    setImmediate(() => this.#learnSides(counted).finally(() => (this.#isLearning = false)));
  }

  factors(): readonly TokenFactor[] {
    return this.#factors.list();
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#saving !== null) clearTimeout(this.#saving);
    await this.#save();
    await this.#options.counter.close();
  }

  /** Until it was learned what another model's template adds to a prompt, nothing is: some add less than OpenAI's. */
  #certainPrompt(model: string, countable: Countable): Countable {
    const isUnlearned = vocabularyOf(model) === 'other' && !this.#factors.knows(model, 'input');
    return isUnlearned ? { ...countable, overhead: 0 } : countable;
  }

  async #learnSides({ model, isStream, sides }: CountedByProvider): Promise<void> {
    try {
      for (const { side, tokens, countable } of sides) {
        if (tokens < 1 || tokens > mostSampleTokens) continue;
        const sample = countable();
        const length = sample.texts.reduce((sum, text) => sum + text.length, 0);
        if (sample.hasMore === true || length === 0 || length > longestSample) continue;
        const ours = await this.#options.counter.count(model, sample);
        const learned = this.#factors.learn(model, side, ours, tokens);
        if (learned !== null && isStream && side === 'output') {
          this.#options.onAccuracy({ model, side, reported: tokens, ...learned });
        }
      }
      this.#saveLater();
    } catch (error) {
      if (!this.#closed) this.#options.onFault('learning how a model counts', error);
    }
  }

  #saveLater(): void {
    if (this.#closed) return;
    this.#saving ??= setTimeout(() => {
      this.#saving = null;
      void this.#save();
    }, this.#options.saveEveryMs ?? defaultSaveEveryMs).unref();
  }

  async #save(): Promise<void> {
    const changed = this.#factors.takeChanged();
    if (changed.length === 0) return;
    try {
      await this.#options.store.save(changed);
    } catch (error) {
      // It is tried again with what is learned next.
      this.#factors.putBack(changed);
      this.#options.onFault('keeping what was learned of how models count', error);
    }
  }
}

export function createLearningTokenizer(options: LearningTokenizerOptions): Tokenizer {
  return new LearningTokenizer(options);
}
