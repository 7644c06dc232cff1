/** In what a provider of this wire format differs from OpenAI, as far as requests and bills go. */
export interface ProviderQuirks {
  /** Whether `stream_options.include_usage` may be sent. */
  readonly takesStreamOptions: boolean;
  /** The member that caps the output, where we have to write one. */
  readonly maxTokensMember: 'max_tokens' | 'max_completion_tokens';
  /** Whether `completion_tokens` leaves reasoning out. Decides only where the total doesn't. */
  readonly reasoningIsOutside: boolean;
  /** Whether what the total has beyond prompt and completion is reasoning that is named nowhere. */
  readonly hidesReasoning: boolean;
}

/** What a provider does that follows OpenAI's older, and wider known, form. */
const usual: ProviderQuirks = {
  takesStreamOptions: true,
  maxTokensMember: 'max_tokens',
  reasoningIsOutside: false,
  hidesReasoning: false,
};

const openai: ProviderQuirks = { ...usual, maxTokensMember: 'max_completion_tokens' };

/** Gemini's OpenAI-compatible URL: prompt 35, completion 12, total 109, and nothing named reasoning. */
const gemini: ProviderQuirks = { ...usual, hidesReasoning: true };

/** By the upstream's provider. A name that isn't here is `usual`; those that are, and are usual, were looked at. */
const quirksByProvider: ReadonlyMap<string, ProviderQuirks> = new Map([
  // Reasoning models refuse `max_tokens`; every model takes `max_completion_tokens`.
  ['openai', openai],
  ['azure', openai],
  // total = prompt + completion + reasoning in every recorded answer that has reasoning.
  ['xai', { ...usual, reasoningIsOutside: true }],
  ['gemini', gemini],
  ['google', gemini],
  ['vertex', gemini],
  // Answers 422 "extra_forbidden" to `stream_options.include_usage` and to `max_completion_tokens`
  // (openai/openai-agents-python#442, editor-code-assistant/eca#231); its streams carry usage unasked.
  ['mistral', { ...usual, takesStreamOptions: false }],
  ['alibaba', usual],
  ['cerebras', usual],
  ['deepseek', usual],
  ['groq', usual],
  ['ollama', usual],
  ['openrouter', usual],
  ['perplexity', usual],
  ['together', usual],
  ['vercel-gateway', usual],
  ['vllm', usual],
]);

export function quirksOf(provider: string): ProviderQuirks {
  return quirksByProvider.get(provider.toLowerCase()) ?? usual;
}
