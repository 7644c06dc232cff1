import type { UsageClass } from '../domain/usage.ts';
import type { Entry } from './litellm-fields.ts';
import type { ModelName } from './litellm-names.ts';

export interface SearchPrice {
  readonly usageClass: UsageClass;
  /** Undefined where the map has no price of this size. */
  readonly text: unknown;
}

/**
 * `search_context_cost_per_query`: what a web search costs, by how much of it goes into the context. Who
 * counts what differs: Google counts searches of newer models (`web_search_billing_unit` "per_query") and
 * else prompts that were grounded; Perplexity takes it once for every request, and only its deep research
 * counts searches.
 */
export function searchPrice(entry: Entry, { provider, model }: ModelName): SearchPrice {
  const sizes = (entry.search_context_cost_per_query ?? {}) as Readonly<Record<string, unknown>>;
  const {
    search_context_size_low: low,
    search_context_size_medium: medium,
    search_context_size_high: high,
  } = sizes;
  if (provider === 'perplexity' && !model.includes('deep-research')) {
    // The size isn't told with the usage: the dearest, as the built-in price book has it.
    return { usageClass: 'requests', text: high ?? medium ?? low };
  }
  const isGoogles = (provider === 'gemini' || provider === 'vertex') && !model.includes('claude');
  const perPrompt = isGoogles && entry.web_search_billing_unit !== 'per_query';
  return { usageClass: perPrompt ? 'grounded_prompt' : 'web_search', text: medium ?? high ?? low };
}
