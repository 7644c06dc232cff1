import { decimalRate } from './decimal-rate.ts';
import type { Rated } from './hour-writes.ts';
import type { PriceField } from './litellm-fields.ts';

export interface DraftRates {
  readonly base: Rated;
  /** By the length above which they count. */
  readonly byLength: Map<number, Rated>;
}

/** What has been read of an entry so far. */
export interface Draft {
  readonly standard: DraftRates;
  readonly serviceTiers: Map<string, DraftRates>;
  /** Members with a price that can't be charged. */
  readonly uncharged: string[];
  /** Whether digits of a price were taken for noise. */
  rounded: boolean;
  /** A member with a price that is none: the entry isn't taken in part. */
  malformed: string | null;
}

export function newDraft(): Draft {
  return {
    standard: { base: {}, byLength: new Map() },
    serviceTiers: new Map(),
    uncharged: [],
    rounded: false,
    malformed: null,
  };
}

export function serviceTierOf({ standard, serviceTiers }: Draft, name: string | null): DraftRates {
  if (name === null) return standard;
  const rates = serviceTiers.get(name) ?? { base: {}, byLength: new Map() };
  serviceTiers.set(name, rates);
  return rates;
}

export function ratesAbove({ byLength }: DraftRates, inputTokens: number): Rated {
  const rates = byLength.get(inputTokens) ?? {};
  byLength.set(inputTokens, rates);
  return rates;
}

export function everyRates({ standard, serviceTiers }: Draft): readonly Rated[] {
  return [standard, ...serviceTiers.values()].flatMap(({ base, byLength }) => [base, ...byLength.values()]);
}

export interface Member {
  readonly member: string;
  /** A decimal, if it is as it should be. */
  readonly text: unknown;
}

/** Adds a price to rates of the draft. */
export function put(
  draft: Draft,
  rates: Rated,
  { usageClass, perUnits }: Pick<PriceField, 'usageClass' | 'perUnits'>,
  { member, text }: Member,
): void {
  const read = typeof text === 'string' ? decimalRate(text, perUnits) : null;
  if (read === null) {
    draft.malformed ??= member;
    return;
  }
  draft.rounded ||= read.rounded;
  rates[usageClass] = read.rate;
}
