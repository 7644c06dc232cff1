import type { Quirks } from '../../domain/quirks.ts';
import { inputTokens, outputTokens, type Usage } from '../../domain/usage.ts';
import type { JsonObject } from '../json.ts';
import { type CountPaths, classesOf } from '../openai/usage-classes.ts';

/** Where the providers of responses put each count. Units of tools come from more than the usage: `tool-calls.ts`. */
const paths: CountPaths = {
  prompt: [['input_tokens']],
  completion: [['output_tokens']],
  total: [['total_tokens']],
  cacheRead: [['input_tokens_details', 'cached_tokens']],
  cacheWrite: [['input_tokens_details', 'cache_write_tokens']],
  inputAudio: [['input_tokens_details', 'audio_tokens']],
  reasoning: [['output_tokens_details', 'reasoning_tokens']],
  outputAudio: [['output_tokens_details', 'audio_tokens']],
  webSearches: [],
  searchSources: [['num_sources_used']], // xAI
};

/**
 * A provider's usage in disjoint classes that add up to what its total says.
 *
 * Reasoning is part of the output unless a total says otherwise, whatever the quirk says of the provider's
 * chat completions: in all recorded responses of xAI, which leaves it out there, it is in here.
 * @param usage the `usage` object as it came
 * @returns null where it holds no input and output counts that can be true
 */
export function normaliseUsage(usage: JsonObject, quirks: Quirks): Usage | null {
  return classesOf(usage, paths, { ...quirks, reasoningIsOutside: false });
}

/** What a usage object stands beside. */
export interface Beside {
  /** Whether the answer has no output at all. */
  readonly isEmpty: boolean;
  readonly failed: boolean;
}

/**
 * The usage to bill an answer by; null where the provider's can't be true, so that it is counted by us.
 * All zero beside output is a slip, not a free answer; beside a failure it is no account of anything; beside
 * nothing it is a zero.
 */
export function usageFor(reported: JsonObject | null, quirks: Quirks, beside: Beside): Usage | null {
  const usage = reported === null ? null : normaliseUsage(reported, quirks);
  if (usage === null || (beside.isEmpty && !beside.failed)) return usage;
  return inputTokens(usage) + outputTokens(usage) === 0 ? null : usage;
}
