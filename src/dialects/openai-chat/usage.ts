import { inputTokens, outputTokens, type Usage } from '../../domain/usage.ts';
import { asObject, type JsonObject } from '../json.ts';
import type { GeneratedText } from './generated.ts';
import type { ProviderQuirks } from './quirks.ts';

type Path = readonly [string] | readonly [string, string];

/** Where providers put each count. Several paths are several names for one number: the first that is there counts. */
const paths = {
  prompt: [['prompt_tokens']],
  completion: [['completion_tokens']],
  total: [['total_tokens']],
  cacheRead: [
    ['prompt_tokens_details', 'cached_tokens'],
    ['prompt_cache_hit_tokens'], // DeepSeek
    ['cached_tokens'], // Together
    ['num_cached_tokens'], // Mistral
    ['cache_read_input_tokens'], // LiteLLM
  ],
  cacheWrite: [
    ['prompt_tokens_details', 'cache_write_tokens'], // OpenAI, OpenRouter
    ['cache_creation_input_tokens'], // Vercel AI Gateway, LiteLLM
  ],
  inputAudio: [['prompt_tokens_details', 'audio_tokens']],
  reasoning: [['completion_tokens_details', 'reasoning_tokens']],
  outputAudio: [['completion_tokens_details', 'audio_tokens']],
  webSearches: [
    ['server_tool_use_details', 'web_search_requests'], // OpenRouter
    ['num_search_queries'], // Perplexity
  ],
  searchSources: [['num_sources_used']], // xAI
} as const satisfies Record<string, readonly Path[]>;

type CountName = keyof typeof paths;
type Counts = Readonly<Partial<Record<CountName, number>>>;

/** Ten times what the longest context of today holds: a count beyond it is nobody's count. */
const maxTokens = 100_000_000;

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= maxTokens;
}

/** The first value of a count that is there. */
function reportedValue(usage: JsonObject, name: CountName): unknown {
  for (const [outer, inner] of paths[name] as readonly Path[]) {
    const value = inner === undefined ? usage[outer] : asObject(usage[outer])?.[inner];
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** Null where one of the counts can't be one: who miscounts one class may have miscounted the others. */
function readCounts(usage: JsonObject): Counts | null {
  const counts: Partial<Record<CountName, number>> = {};
  for (const name of Object.keys(paths) as CountName[]) {
    const value = reportedValue(usage, name);
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

function inputClassesOf(prompt: number, { cacheRead, cacheWrite, inputAudio }: Counts): Classes {
  const read = cacheRead ?? 0;
  // More read from the cache than the prompt has: grok on Azure reports the prompt net of it.
  const uncached = read > prompt ? prompt : prompt - read;
  // OpenRouter reports the same tokens of Gemini's cache as read and as written. A token has one
  // class: these were read, and only what was written beyond them is a write.
  const reported = cacheWrite ?? 0;
  const write = reported <= uncached ? reported : Math.min(uncached, Math.max(0, reported - read));
  const audio = Math.min(inputAudio ?? 0, uncached - write);
  return {
    input: uncached - write - audio,
    cache_read: cacheRead,
    cache_write_5m: cacheWrite === undefined ? undefined : write,
    input_audio: inputAudio === undefined ? undefined : audio,
  };
}

/** Reasoning on top of the completion; null where it is part of it. The total decides where there is one. */
function reasoningOutside(
  extra: number | null,
  reasoning: number | undefined,
  quirks: ProviderQuirks,
): number | null {
  if (extra === 0) return null;
  if (extra !== null && extra > 0 && (extra === reasoning || quirks.hidesReasoning)) return extra;
  return quirks.reasoningIsOutside && reasoning !== undefined ? reasoning : null;
}

function outputClassesOf({ completion, extra }: Sides, counts: Counts, quirks: ProviderQuirks): Classes {
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
export function normaliseUsage(usage: JsonObject, quirks: ProviderQuirks): Usage | null {
  const counts = readCounts(usage);
  const sides = counts === null ? null : sidesOf(counts);
  if (counts === null || sides === null) return null;
  const classes = {
    ...inputClassesOf(sides.prompt, counts),
    ...outputClassesOf(sides, counts, quirks),
    ...toolUnitsOf(counts),
  };
  const reported: Record<string, number> = {};
  for (const [usageClass, count] of Object.entries(classes)) {
    if (count !== undefined) reported[usageClass] = count;
  }
  return reported;
}

/**
 * The usage to bill an answer by; null where the provider's can't be true, so that it is counted by us.
 * All zero beside generated text is a slip, not a free answer; all zero beside nothing is a zero.
 */
export function usageFor(
  reported: JsonObject | null,
  quirks: ProviderQuirks,
  generated: GeneratedText,
): Usage | null {
  const usage = reported === null ? null : normaliseUsage(reported, quirks);
  if (usage === null || generated.isEmpty) return usage;
  return inputTokens(usage) + outputTokens(usage) === 0 ? null : usage;
}
