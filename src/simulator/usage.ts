/** What a request used, counted by o200k_base. */
export interface Usage {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Reasoning included, as OpenAI counts. */
  readonly completionTokens: number;
  readonly reasoningTokens: number;
}

export const zeroUsage: Usage = {
  promptTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
  reasoningTokens: 0,
};

/** The `usage` member of OpenAI's answers. */
export function usageJson(usage: Usage): string {
  return JSON.stringify({
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  });
}
