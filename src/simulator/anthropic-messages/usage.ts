import type { Usage } from '../usage.ts';

/** What all of Anthropic's usage objects have: input without what a cache had or took of it. */
function counts(usage: Usage) {
  const { promptTokens, cachedTokens, cacheWriteTokens, cacheWrite1hTokens } = usage;
  return {
    input_tokens: promptTokens - cachedTokens - cacheWriteTokens - cacheWrite1hTokens,
    cache_creation_input_tokens: cacheWriteTokens + cacheWrite1hTokens,
    cache_read_input_tokens: cachedTokens,
    output_tokens: usage.completionTokens,
  };
}

/** Of a message, and of the one that starts a stream. */
export function usageObject(usage: Usage) {
  return {
    ...counts(usage),
    cache_creation: {
      ephemeral_5m_input_tokens: usage.cacheWriteTokens,
      ephemeral_1h_input_tokens: usage.cacheWrite1hTokens,
    },
    output_tokens_details: { thinking_tokens: usage.reasoningTokens },
    service_tier: 'standard',
  };
}

/** Of the event that ends a stream: all of it once more, but not how long the cache holds what it took. */
export function deltaUsageObject(usage: Usage) {
  return { ...counts(usage), output_tokens_details: { thinking_tokens: usage.reasoningTokens } };
}
