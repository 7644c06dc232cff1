import { LRUCache } from 'lru-cache';
import { accuracyPercent } from '../domain/accuracy.ts';
import { entriesUpTo } from '../domain/entries-up-to.ts';
import type { StoredFactor } from './factor-store.ts';
import type { Side, TokenFactor } from './tokenizer.ts';
import { vocabularyOf } from './vocabulary.ts';

/** A factor of one, in parts per million. */
export const onePpm = 1_000_000;

/** No vocabulary in use is further from OpenAI's than that, even for texts that it was not made for. */
const leastFactorPpm = 500_000;
const mostFactorPpm = 3_000_000;
/** Beyond that the text at hand doesn't explain the count: reasoning that isn't shown, a picture, a failed search. */
const leastExplainedPpm = 400_000;
const mostExplainedPpm = 4_000_000;

/**
 * A cautious count of another vocabulary of which nothing was learned yet. Of 330 recorded streams, read at
 * each event, 5 come to more than the provider's final count with it and 17 without.
 */
const unlearnedCautionPpm = 900_000;

/** So many models are known at once, on two sides each; those that were asked for longest ago are forgotten. */
const mostFactors = 4_000;

/** A sample weighs by its length, and from so many tokens on no more: one long text isn't many. */
const fullWeightTokens = 500;
/** The assumption to begin with, that a model counts as we do, weighs a tenth of a full sample. */
const firstEvidence = 0.1;
/** A factor follows what a model does over so many full samples, and forgets what it did before. */
const mostEvidence = 20;
/** What a sample that was learned before this process began is taken to have weighed. */
const storedWeight = 0.2;

interface Learned {
  readonly model: string;
  readonly side: Side;
  /** Parts per million, an integer. */
  factorPpm: number;
  /** By how much samples differ from the factor, on average. */
  deviationPpm: number;
  evidence: number;
  samples: number;
  compared: number;
  accuracySum: number;
  isChanged: boolean;
}

function keyOf(model: string, side: Side): string {
  return `${side} ${model}`;
}

function bounded(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

/** What is known of how models count, bounded in number and in value. */
export class TokenFactors {
  readonly #known = new LRUCache<string, Learned>(entriesUpTo(mostFactors));

  constructor(stored: readonly StoredFactor[]) {
    for (const { model, side, factorPpm, samples } of stored) {
      const learned = this.#find(model, side);
      learned.factorPpm = bounded(factorPpm, leastFactorPpm, mostFactorPpm);
      // How far samples differ isn't kept: they are taken to differ as far as the factor is from one.
      learned.deviationPpm = Math.abs(learned.factorPpm - onePpm);
      learned.samples = samples;
      learned.evidence = Math.min(mostEvidence, firstEvidence + samples * storedWeight);
    }
  }

  /** Whether anything was learned of a model. */
  knows(model: string, side: Side): boolean {
    return (this.#known.get(keyOf(model, side))?.samples ?? 0) > 0;
  }

  /** What a model comes to for so many tokens of ours, rounded. */
  applied(model: string, side: Side, ours: number): number {
    const factorPpm = this.#known.get(keyOf(model, side))?.factorPpm ?? onePpm;
    return Math.round((ours * factorPpm) / onePpm);
  }

  /**
   * What a model hardly comes to less than, rounded down. Of an answer that broke off never more than our
   * own count: what a factor above one stands for may have been yet to come.
   */
  appliedCautiously(model: string, side: Side, ours: number): number {
    const factorPpm = this.#cautiousPpm(model, side);
    return Math.floor((ours * (side === 'output' ? Math.min(onePpm, factorPpm) : factorPpm)) / onePpm);
  }

  /**
   * Takes one answer into account.
   * @returns our count and how near it came, before it was learned from; null where the text doesn't explain theirs
   */
  learn(
    model: string,
    side: Side,
    ours: number,
    theirs: number,
  ): { readonly counted: number; readonly percent: number } | null {
    const ratioPpm = (theirs / ours) * onePpm;
    if (!(ratioPpm >= leastExplainedPpm && ratioPpm <= mostExplainedPpm)) return null;
    const learned = this.#find(model, side);
    const counted = this.applied(model, side, ours);
    const percent = accuracyPercent(counted, theirs);
    learned.samples++;
    learned.compared++;
    learned.accuracySum += percent;
    if (vocabularyOf(model) !== 'own') approach(learned, ratioPpm, Math.min(1, ours / fullWeightTokens));
    return { counted, percent };
  }

  list(): readonly TokenFactor[] {
    const factors = [...this.#known.values()].map((learned) => ({
      model: learned.model,
      side: learned.side,
      factorPpm: learned.factorPpm,
      samples: learned.samples,
      accuracyPercent: learned.compared === 0 ? null : learned.accuracySum / learned.compared,
    }));
    return factors.sort((a, b) => compareText(a.model, b.model) || compareText(a.side, b.side));
  }

  /** What was learned since this was asked last. */
  takeChanged(): readonly StoredFactor[] {
    const changed = [...this.#known.values()].filter(({ isChanged }) => isChanged);
    for (const learned of changed) learned.isChanged = false;
    return changed.map(({ model, side, factorPpm, samples }) => ({ model, side, factorPpm, samples }));
  }

  /** What couldn't be kept is to be kept later. */
  putBack(factors: readonly StoredFactor[]): void {
    for (const { model, side } of factors) this.#find(model, side).isChanged = true;
  }

  #cautiousPpm(model: string, side: Side): number {
    const learned = this.#known.get(keyOf(model, side));
    if (learned === undefined || learned.samples === 0) {
      return vocabularyOf(model) === 'other' ? unlearnedCautionPpm : onePpm;
    }
    return Math.max(leastFactorPpm, learned.factorPpm - learned.deviationPpm);
  }

  #find(model: string, side: Side): Learned {
    const known = this.#known.get(keyOf(model, side));
    if (known !== undefined) return known;
    const learned: Learned = {
      model,
      side,
      factorPpm: onePpm,
      deviationPpm: 0,
      evidence: firstEvidence,
      samples: 0,
      compared: 0,
      accuracySum: 0,
      isChanged: false,
    };
    this.#known.set(keyOf(model, side), learned);
    return learned;
  }
}

/** Moves a factor towards what a sample says, by the sample's share of all that speaks for a factor. */
function approach(learned: Learned, ratioPpm: number, weight: number): void {
  const share = weight / (learned.evidence + weight);
  const factorPpm = learned.factorPpm + share * (ratioPpm - learned.factorPpm);
  const deviationPpm = Math.abs(ratioPpm - factorPpm);
  learned.factorPpm = Math.round(bounded(factorPpm, leastFactorPpm, mostFactorPpm));
  learned.deviationPpm += share * (deviationPpm - learned.deviationPpm);
  learned.evidence = Math.min(mostEvidence, learned.evidence + weight);
  learned.isChanged = true;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
