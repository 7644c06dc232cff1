/**
 * In what a provider differs from the one that defined its wire format, as far as requests and bills
 * go. Data: an upstream starts from what is known of its provider, and its admin may set each by name.
 */
export interface Quirks {
  /** Whether a member of a chat completion that no provider is known to take is refused, or passed on. */
  readonly unknownMembers: 'refuse' | 'pass';
  /** Whether `stream_options.include_usage` may be sent. */
  readonly takesStreamOptions: boolean;
  /** The member that caps the output of a chat completion, where we have to write one. */
  readonly maxTokensMember: 'max_tokens' | 'max_completion_tokens';
  /** What a text completion without `max_tokens` generates at most; null: as much as the model can. */
  readonly defaultCompletionTokens: number | null;
  /** Whether the count of output tokens leaves reasoning out. Decides only where the total doesn't. */
  readonly reasoningIsOutside: boolean;
  /** Whether what the total has beyond prompt and completion is reasoning that is named nowhere. */
  readonly hidesReasoning: boolean;
  /**
   * Whether the count of input tokens leaves out those read from a cache: always, never, or where more
   * was read from it than the prompt has.
   */
  readonly cachedIsOutside: 'always' | 'never' | 'when_larger';
}

export type QuirkOverrides = Partial<Quirks>;

/** What a provider does that follows the wire format's wider known form. */
const usual: Quirks = {
  unknownMembers: 'refuse',
  takesStreamOptions: true,
  maxTokensMember: 'max_tokens',
  defaultCompletionTokens: null,
  reasoningIsOutside: false,
  hidesReasoning: false,
  cachedIsOutside: 'when_larger',
};

/** Reasoning models refuse `max_tokens`; every model takes `max_completion_tokens`. */
const openai: QuirkOverrides = { maxTokensMember: 'max_completion_tokens', defaultCompletionTokens: 16 };

/** Gemini's OpenAI-compatible URL: prompt 35, completion 12, total 109, and nothing named reasoning. */
const gemini: QuirkOverrides = { hidesReasoning: true };

/** By the upstream's provider. A name that isn't here is usual; those that are, and are usual, were looked at. */
const knownQuirks: ReadonlyMap<string, QuirkOverrides> = new Map([
  ['openai', openai],
  ['azure', openai],
  // total = prompt + completion + reasoning in every recorded answer that has reasoning.
  ['xai', { reasoningIsOutside: true }],
  ['gemini', gemini],
  ['google', gemini],
  ['vertex', gemini],
  // Answers 422 "extra_forbidden" to `stream_options.include_usage` and to `max_completion_tokens`
  // (openai/openai-agents-python#442, editor-code-assistant/eca#231); its streams carry usage unasked.
  ['mistral', { takesStreamOptions: false }],
  ['alibaba', {}],
  ['anthropic', {}],
  ['bedrock', {}],
  ['cerebras', {}],
  ['deepseek', {}],
  ['groq', {}],
  ['ollama', {}],
  ['openrouter', {}],
  ['perplexity', {}],
  ['together', {}],
  ['vercel-gateway', {}],
  ['vllm', { defaultCompletionTokens: 16 }],
]);

/** What is known of a provider, with what an upstream's admin set. */
export function quirksOf(provider: string, overrides: QuirkOverrides = {}): Quirks {
  return { ...usual, ...knownQuirks.get(provider.toLowerCase()), ...overrides };
}
