import type { Quirks } from '../../domain/quirks.ts';
import type { Usage } from '../../domain/usage.ts';
import { isCount } from '../count.ts';
import { asObject, type JsonObject } from '../json.ts';

/** Where a count stands in a usage object: a member, or a member of a member. */
export type CountPath = readonly [string] | readonly [string, string];

type CountName =
  | 'prompt'
  | 'completion'
  | 'total'
  | 'cacheRead'
  | 'cacheWrite'
  | 'inputAudio'
  | 'reasoning'
  | 'outputAudio'
  | 'webSearches'
  | 'searchSources';

/**
 * Where the providers of a wire format put each count. Several paths are several names for one number: the
 * first that is there counts.
 */
export type CountPaths = Readonly<Record<CountName, readonly CountPath[]>>;

type Counts = Readonly<Partial<Record<CountName, number>>>;

/** The first value of a count that is there. */
function reportedValue(usage: JsonObject, paths: readonly CountPath[]): unknown {
  for (const [outer, inner] of paths) {
    const value = inner === undefined ? usage[outer] : asObject(usage[outer])?.[inner];
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** Null where one of the counts can't be one: who miscounts one class may have miscounted the others. */
function readCounts(usage: JsonObject, paths: CountPaths): Counts | null {
  const counts: Partial<Record<CountName, number>> = {};
  for (const name of Object.keys(paths) as CountName[]) {
    const value = reportedValue(usage, paths[name]);
    if (value === undefined) continue;
    if (!isCount(value)) return null;
    counts[name] = value;
  }
  return counts;
}

interface Sides {
  readonly prompt: number;
  readonly completion: number;
  /** What the total has beyond the two; null where there is no total to tell. */
  readonly extra: number | null;
}

/** Prompt and completion; where one is missing, the total gives it away. */
function sidesOf({ prompt, completion, total }: Counts): Sides | null {
  if (prompt !== undefined && completion !== undefined) {
    return { prompt, completion, extra: total === undefined ? null : total - prompt - completion };
  }
  const known = prompt ?? completion;
  if (total === undefined || known === undefined || total < known) return null;
  return { prompt: prompt ?? total - known, completion: completion ?? total - known, extra: 0 };
}

type Classes = Readonly<Record<string, number | undefined>>;

function inputClassesOf(
  prompt: number,
  { cacheRead, cacheWrite, inputAudio }: Counts,
  { cachedIsOutside }: Quirks,
): Classes {
  const read = cacheRead ?? 0;
  // More read from the cache than the prompt has: grok on Azure reports the prompt net of it.
  const isOutside = cachedIsOutside === 'always' || (cachedIsOutside === 'when_larger' && read > prompt);
  const uncached = isOutside ? prompt : Math.max(0, prompt - read);
  // OpenRouter reports the same tokens of Gemini's cache as read and as written. A token has one
  // class: these were read, and only what was written beyond them is a write.
  const reported = cacheWrite ?? 0;
  const write = reported <= uncached ? reported : Math.min(uncached, Math.max(0, reported - read));
  const audio = Math.min(inputAudio ?? 0, uncached - write);
  return {
    input: uncached - write - audio,
    cache_read: cacheRead === undefined ? undefined : isOutside ? read : prompt - uncached,
    cache_write_5m: cacheWrite === undefined ? undefined : write,
    input_audio: inputAudio === undefined ? undefined : audio,
  };
}

/** Reasoning on top of the completion; null where it is part of it. The total decides where there is one. */
function reasoningOutside(
  extra: number | null,
  reasoning: number | undefined,
  quirks: Quirks,
): number | null {
  if (extra === 0) return null;
  if (extra !== null && extra > 0 && (extra === reasoning || quirks.hidesReasoning)) return extra;
  return quirks.reasoningIsOutside && reasoning !== undefined ? reasoning : null;
}

function outputClassesOf({ completion, extra }: Sides, counts: Counts, quirks: Quirks): Classes {
  const { reasoning, outputAudio } = counts;
  const outside = reasoningOutside(extra, reasoning, quirks);
  // Some gateways report more reasoning than completion, and bill the completion.
  const inside = outside === null ? Math.min(reasoning ?? 0, completion) : 0;
  const audio = Math.min(outputAudio ?? 0, completion - inside);
  return {
    output: completion - inside - audio,
    reasoning: outside ?? (reasoning === undefined ? undefined : inside),
    output_audio: outputAudio === undefined ? undefined : audio,
  };
}

/** Units that are paid for beside tokens. Nearly every answer has none, so a zero isn't worth a class. */
function toolUnitsOf({ webSearches, searchSources }: Counts): Classes {
  return { web_search: webSearches || undefined, search_source: searchSources || undefined };
}

/**
 * A provider's usage in disjoint classes: what is cached is no longer input, what is reasoning is no
 * longer output, and the classes add up to what the provider's total says.
 * @param usage the `usage` object as it came
 * @returns null where it holds no prompt and completion counts that can be true
 */
export function classesOf(usage: JsonObject, paths: CountPaths, quirks: Quirks): Usage | null {
  const counts = readCounts(usage, paths);
  const sides = counts === null ? null : sidesOf(counts);
  if (counts === null || sides === null) return null;
  const classes = {
    ...inputClassesOf(sides.prompt, counts, quirks),
    ...outputClassesOf(sides, counts, quirks),
    ...toolUnitsOf(counts),
  };
  const reported: Record<string, number> = {};
  for (const [usageClass, count] of Object.entries(classes)) {
    if (count !== undefined) reported[usageClass] = count;
  }
  return reported;
}
