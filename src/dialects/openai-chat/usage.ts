import type { Quirks } from '../../domain/quirks.ts';
import { inputTokens, outputTokens, type Usage } from '../../domain/usage.ts';
import type { JsonObject } from '../json.ts';
import { type CountPaths, classesOf } from '../openai/usage-classes.ts';
import type { GeneratedText } from './generated.ts';

/** Where the providers of chat completions put each count. */
const paths: CountPaths = {
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
    ['server_tool_use', 'web_search_requests'], // LiteLLM
    ['prompt_tokens_details', 'web_search_requests'], // LiteLLM
    ['num_search_queries'], // Perplexity
  ],
  searchSources: [['num_sources_used']], // xAI
};

/**
 * A provider's usage in disjoint classes that add up to what its total says.
 * @param usage the `usage` object as it came
 * @returns null where it holds no prompt and completion counts that can be true
 */
export function normaliseUsage(usage: JsonObject, quirks: Quirks): Usage | null {
  return classesOf(usage, paths, quirks);
}

/**
 * The usage to bill an answer by; null where the provider's can't be true, so that it is counted by us.
 * All zero beside generated text is a slip, not a free answer; all zero beside nothing is a zero.
 */
export function usageFor(
  reported: JsonObject | null,
  quirks: Quirks,
  generated: GeneratedText,
): Usage | null {
  const usage = reported === null ? null : normaliseUsage(reported, quirks);
  if (usage === null || generated.isEmpty) return usage;
  return inputTokens(usage) + outputTokens(usage) === 0 ? null : usage;
}
