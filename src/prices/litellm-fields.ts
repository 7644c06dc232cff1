import type { UsageClass } from '../domain/usage.ts';

/** An entry of LiteLLM's map: its numbers are the text that they were written as. */
export type Entry = Readonly<Record<string, unknown>>;

/** What a member of an entry in LiteLLM's map prices. */
export interface PriceField {
  readonly usageClass: UsageClass;
  /** The price is of so many units. */
  readonly perUnits: 1 | 1_000;
  /** Null: whatever the length of the prompt. */
  readonly aboveInputTokens: number | null;
  /** Null: the standard one. */
  readonly serviceTier: string | null;
  /** An older name, which counts where the newer one is missing. */
  readonly outdated: boolean;
}

type Base = Pick<PriceField, 'usageClass'> & Partial<PriceField>;

const bases: Readonly<Record<string, Base>> = {
  input_cost_per_token: { usageClass: 'input' },
  output_cost_per_token: { usageClass: 'output' },
  cache_read_input_token_cost: { usageClass: 'cache_read' },
  input_cost_per_token_cache_hit: { usageClass: 'cache_read', outdated: true },
  cache_creation_input_token_cost: { usageClass: 'cache_write_5m' },
  cache_creation_input_token_cost_above_1hr: { usageClass: 'cache_write_1h' },
  input_cost_per_audio_token: { usageClass: 'input_audio' },
  cache_read_input_audio_token_cost: { usageClass: 'cache_read_audio' },
  output_cost_per_audio_token: { usageClass: 'output_audio' },
  output_cost_per_reasoning_token: { usageClass: 'reasoning' },
  output_cost_per_image_token: { usageClass: 'output_image' },
  output_cost_per_image: { usageClass: 'image' },
  input_cost_per_request: { usageClass: 'requests' },
  code_interpreter_cost_per_session: { usageClass: 'code_interpreter' },
  file_search_cost_per_1k_calls: { usageClass: 'file_search', perUnits: 1_000 },
};

const serviceTiers: Readonly<Record<string, string>> = {
  batches: 'batch',
  flex: 'flex',
  priority: 'priority',
};

/** Prices in Databricks' own units, beside the same ones in dollars. */
const repeated = /^(input|output)_dbu_cost_per_token$/;
const pricing = /cost|pricing|multiplier|provider_specific_entry/;

const serviceTierSuffix = /^(.+)_(batches|flex|priority)$/;
const lengthSuffix = /^(.+)_above_(\d{1,6})(k?)_tokens$/;

/**
 * The meaning of a member by its name; suffixes come in any order. `uncharged` is a price, or a factor of
 * one, in a unit that no request is measured in; `no_price` says something else of the model.
 */
export function meaningOf(name: string): PriceField | 'uncharged' | 'no_price' {
  if (!pricing.test(name) || repeated.test(name)) return 'no_price';
  let peeled: Peeled | null = { rest: name, aboveInputTokens: null, serviceTier: null };
  while (peeled !== null) {
    const { rest, ...suffixes }: Peeled = peeled;
    const base = Object.hasOwn(bases, rest) ? bases[rest] : undefined;
    if (base !== undefined) return { perUnits: 1, outdated: false, ...base, ...suffixes };
    peeled = peel(peeled);
  }
  return 'uncharged';
}

/** A name without the suffixes that it had behind, each of which comes once at most. */
interface Peeled extends Pick<PriceField, 'aboveInputTokens' | 'serviceTier'> {
  readonly rest: string;
}

function peel({ rest, aboveInputTokens, serviceTier }: Peeled): Peeled | null {
  const [, priced, tier] = serviceTierSuffix.exec(rest) ?? [];
  if (priced !== undefined && tier !== undefined && serviceTier === null) {
    return { rest: priced, aboveInputTokens, serviceTier: serviceTiers[tier] ?? tier };
  }
  const [, short, length, thousand] = lengthSuffix.exec(rest) ?? [];
  if (short === undefined || aboveInputTokens !== null) return null;
  return { rest: short, aboveInputTokens: Number(length) * (thousand === 'k' ? 1_000 : 1), serviceTier };
}

/** Above this a count isn't plausible. */
const maxTokens = 100_000_000;

/** Reads a count of tokens; null for what isn't one. */
export function tokenCount(value: unknown): number | null {
  const count = typeof value === 'string' ? Number(value) : Number.NaN;
  return Number.isInteger(count) && count >= 0 && count <= maxTokens ? count : null;
}
