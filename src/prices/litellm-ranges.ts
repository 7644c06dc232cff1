import type { Rated } from './hour-writes.ts';
import { type Draft, put, ratesAbove } from './litellm-draft.ts';
import { type Entry, meaningOf, tokenCount } from './litellm-fields.ts';

interface Range {
  readonly start: number;
  readonly members: Entry;
}

/**
 * `tiered_pricing`: beyond its start a range prices the whole of a request. What a range leaves out costs
 * as its plain sibling in the same range, never as in a shorter one.
 */
export function readRanges(value: unknown, draft: Draft): void {
  const ranges = (Array.isArray(value) ? value : []).flatMap(rangeOf).sort((a, b) => a.start - b.start);
  if (ranges.length === 0) draft.uncharged.push('tiered_pricing');
  for (const [index, { start, members }] of ranges.entries()) {
    const { base } = draft.standard;
    const rates = index === 0 ? base : ratesAbove(draft.standard, start);
    for (const [name, text] of Object.entries(members)) {
      const meaning = meaningOf(name);
      const member = `tiered_pricing.${name}`;
      if (meaning === 'uncharged') draft.uncharged.push(member);
      else if (meaning !== 'no_price') put(draft, rates, meaning, { member, text });
    }
    fillFromSiblings(rates, Object.keys(base));
  }
}

function rangeOf(value: unknown): readonly Range[] {
  if (typeof value !== 'object' || value === null) return [];
  const { range, ...members } = value as Entry;
  const start = tokenCount(Array.isArray(range) ? range[0] : undefined);
  return start === null ? [] : [{ start, members }];
}

function fillFromSiblings(rates: Rated, usageClasses: readonly string[]): void {
  for (const usageClass of usageClasses) {
    const isInput = usageClass.startsWith('cache_') || usageClass === 'input_audio';
    const sibling = isInput ? rates.input : rates.output;
    if (sibling !== undefined && usageClass !== 'input') rates[usageClass] ??= sibling;
  }
}
