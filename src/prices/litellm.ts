import type { PublishedPrice } from '../catalog/catalog.ts';
import { type ReadEntry, readEntry } from './litellm-entry.ts';
import type { Entry } from './litellm-fields.ts';
import { providerOf } from './litellm-names.ts';
import { sameRates } from './price-diff.ts';

export interface Skipped {
  readonly key: string;
  readonly reason: string;
}

/** What a map of LiteLLM's comes to, each list in an order that depends on nothing but its content. */
export interface LiteLlmMap {
  /** All that are named in it, by the price book's names. */
  readonly providers: readonly string[];
  /** By provider and model, each of which is there once. */
  readonly prices: readonly PublishedPrice[];
  /** By key. */
  readonly skipped: readonly Skipped[];
  /** Keys of prices of which digits were taken for noise (see `meantDigits`). */
  readonly rounded: readonly string[];
  /** Keys of Claude models whose price of one-hour cache writes was derived. */
  readonly derived: readonly string[];
  /** Keys of models that cost nothing: a zero is a zero, but some stand for a price that nobody knew. */
  readonly free: readonly string[];
  /** Members with prices in units that aren't measured, and how many models have them beside others. */
  readonly uncharged: ReadonlyMap<string, number>;
}

/** The file isn't a price map. */
export class NoPriceMapError extends Error {
  override readonly name = 'NoPriceMapError';
}

/** Not models: a template, rules for unknown names, and a date. */
const noModels: ReadonlySet<string> = new Set(['sample_spec', 'fallback_generalizations', 'last_updated']);

/**
 * Reads LiteLLM's `model_prices_and_context_window.json`. No price passes through a float.
 * @param wanted the price book's names of providers; null: all of them
 * @throws NoPriceMapError
 */
export function readLiteLlmMap(text: string, wanted: ReadonlySet<string> | null = null): LiteLlmMap {
  const read: [string, ReadEntry][] = [];
  const skipped: Skipped[] = [];
  const providers = new Set<string>();
  for (const [key, entry] of Object.entries(parse(text)).sort(byKey)) {
    if (noModels.has(key)) continue;
    const provider =
      isObject(entry) && typeof entry.litellm_provider === 'string' ? providerOf(entry.litellm_provider) : '';
    providers.add(provider);
    if (wanted !== null && !wanted.has(provider)) continue;
    const one = isObject(entry) ? readEntry(key, entry) : { reason: 'is no object' };
    if ('reason' in one) skipped.push({ key, reason: one.reason });
    else read.push([key, one]);
  }
  const chosen = oneOfEach(read, skipped);
  const keysWhere = (holds: (entry: ReadEntry) => boolean) =>
    chosen.filter(([, entry]) => holds(entry)).map(([key]) => key);
  const uncharged = new Map<string, number>();
  for (const member of chosen.flatMap(([, entry]) => [...new Set(entry.uncharged)])) {
    uncharged.set(member, (uncharged.get(member) ?? 0) + 1);
  }
  providers.delete('');
  return {
    providers: [...providers].sort(),
    prices: chosen.map(([, { price }]) => price).sort(byName),
    skipped: skipped.sort((a, b) => compare(a.key, b.key)),
    rounded: keysWhere(({ rounded }) => rounded),
    derived: keysWhere(({ derived }) => derived),
    free: keysWhere(({ isFree }) => isFree),
    uncharged: new Map([...uncharged].sort(byKey)),
  };
}

const isObject = (value: unknown): value is Entry =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** By code units: the same on every machine, whatever its language. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => compare(a, b);
const byName = (a: PublishedPrice, b: PublishedPrice) =>
  compare(a.provider, b.provider) || compare(a.model, b.model);

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

/** Numbers become the text that they were written as, so that not a digit is lost. */
const numbersAsText: Reviver = (_key, value, context) =>
  typeof value === 'number' ? (context?.source ?? String(value)) : value;

function parse(text: string): Entry {
  let map: unknown;
  try {
    map = JSON.parse(text, numbersAsText);
  } catch (cause) {
    // A file that nests deeper than the stack ends here as well.
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NoPriceMapError(`It is not JSON: ${reason}`, { cause });
  }
  if (isObject(map) && Object.values(map).some((it) => isObject(it) && 'litellm_provider' in it)) return map;
  throw new NoPriceMapError(
    'It is not a price map of LiteLLM: an object of models by name, each with a "litellm_provider".',
  );
}

/**
 * Two keys may mean one model, as "deepseek-chat" and "deepseek/deepseek-chat" do. One with a price comes
 * before a free one, one that names its provider before one that doesn't, and else the first by key counts;
 * a differing price that is left is told.
 */
function oneOfEach(read: readonly [string, ReadEntry][], skipped: Skipped[]): [string, ReadEntry][] {
  const chosen = new Map<string, [string, ReadEntry]>();
  const inOrder = [...read].sort(
    ([, a], [, b]) => Number(a.isFree) - Number(b.isFree) || Number(b.isPrefixed) - Number(a.isPrefixed),
  );
  for (const [key, entry] of inOrder) {
    const name = `${entry.provider}\n${entry.model}`;
    const first = chosen.get(name);
    if (first === undefined) chosen.set(name, [key, entry]);
    else {
      const same = sameRates(first[1].price, entry.price) ? 'as' : 'at another price than';
      skipped.push({ key, reason: `is the same model ${same} "${first[0]}"` });
    }
  }
  return [...chosen.values()].sort(byKey);
}
