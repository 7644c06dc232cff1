import { addUsage, inputTokens, type ModelUsage, outputTokens, type Usage } from '../../domain/usage.ts';
import { isCount } from '../count.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';

/** What a message's `usage` comes to, each model's share at that model's price. */
export interface MessageUsage {
  /** Of the model that was asked for. */
  readonly own: Usage;
  readonly others: readonly ModelUsage[];
}

/** A count that is absent, one that can be true, or null for one that can't. */
type Count = number | undefined | null;

function countOf(value: unknown): Count {
  if (value === undefined || value === null) return undefined;
  return isCount(value) ? value : null;
}

/** Counts by name; null where one of them can't be one: who miscounts one may have miscounted the others. */
function readCounts<Name extends string>(
  values: Readonly<Record<Name, unknown>>,
): Partial<Record<Name, number>> | null {
  const counts: Partial<Record<Name, number>> = {};
  for (const name of Object.keys(values) as Name[]) {
    const count = countOf(values[name]);
    if (count === null) return null;
    if (count !== undefined) counts[name] = count;
  }
  return counts;
}

function withoutAbsent(classes: Readonly<Record<string, number | undefined>>): Usage {
  const usage: Record<string, number> = {};
  for (const [usageClass, count] of Object.entries(classes)) {
    if (count !== undefined) usage[usageClass] = count;
  }
  return usage;
}

/**
 * Writes to the cache by their lifetime. In a stream the split comes with message_start only, and the
 * total may have changed at the end: what it has beyond the split lives for five minutes, Anthropic's
 * default, and what it lacks is taken from those first.
 */
function cacheWrites(total: Count, short: Count, long: Count): Readonly<Record<string, number | undefined>> {
  const split = short === undefined && long === undefined ? undefined : (short ?? 0) + (long ?? 0);
  const all = total ?? split;
  if (all === undefined) return {};
  const hour = Math.min(long ?? 0, all);
  return { cache_write_5m: all - hour, cache_write_1h: long === undefined ? undefined : hour };
}

/**
 * The tokens of a `usage` object, or of one of its iterations: input is net of the cache already, and
 * output holds the thinking, of which newer answers say how much it was.
 */
function tokensOf(usage: JsonObject): Usage | null {
  const { cache_creation: split, output_tokens_details: details } = usage;
  const counts = readCounts({
    input: usage.input_tokens,
    output: usage.output_tokens,
    read: usage.cache_read_input_tokens,
    written: usage.cache_creation_input_tokens,
    short: asObject(split)?.ephemeral_5m_input_tokens,
    long: asObject(split)?.ephemeral_1h_input_tokens,
    thinking: asObject(details)?.thinking_tokens,
  });
  if (counts?.input === undefined || counts.output === undefined) return null;
  const { input, output, thinking } = counts;
  const reasoning = thinking === undefined ? undefined : Math.min(thinking, output);
  return withoutAbsent({
    input,
    cache_read: counts.read,
    ...cacheWrites(counts.written, counts.short, counts.long),
    output: output - (reasoning ?? 0),
    reasoning,
  });
}

/** Units that are paid for beside tokens. Nearly every answer has none, so a zero isn't worth a class. */
function unitsOf(usage: JsonObject): Usage | null {
  const tools = asObject(usage.server_tool_use) ?? {};
  const counts = readCounts({
    web_search: tools.web_search_requests,
    web_fetch: tools.web_fetch_requests,
    code_interpreter: tools.code_execution_requests,
  });
  if (counts === null) return null;
  return withoutAbsent(Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0)));
}

interface Iteration {
  readonly type: unknown;
  readonly model: string | null;
  readonly usage: Usage;
}

/** Null where the counts of one can't be true: the counters above don't hold what is missing here. */
function iterationsOf(usage: JsonObject): readonly Iteration[] | null {
  const iterations: Iteration[] = [];
  for (const entry of asArray(usage.iterations) ?? []) {
    const iteration = asObject(entry) ?? {};
    // A kind of iteration that uses no tokens is nothing to bill.
    if (iteration.input_tokens === undefined && iteration.output_tokens === undefined) continue;
    const tokens = tokensOf(iteration);
    if (tokens === null) return null;
    iterations.push({ type: iteration.type, model: asText(iteration.model), usage: tokens });
  }
  return iterations;
}

/** Sums by model; null stands for the model that was asked for. */
class Shares {
  readonly #byModel = new Map<string | null, Usage>();

  constructor(own: Usage) {
    this.#byModel.set(null, own);
  }

  add(model: string | null, usage: Usage): void {
    this.#byModel.set(model, addUsage(this.#byModel.get(model) ?? {}, usage));
  }

  result(): MessageUsage {
    const others: ModelUsage[] = [];
    for (const [model, usage] of this.#byModel) if (model !== null) others.push({ model, usage });
    return { own: this.#byModel.get(null) ?? {}, others };
  }
}

/**
 * The counters at the top are the sum of the `message` iterations. What else was run for the answer
 * stands beside them: a compaction by the same model, an advisor by the model that it names.
 */
function besideTheTop(top: Usage, iterations: readonly Iteration[]): MessageUsage {
  const shares = new Shares(top);
  for (const { type, model, usage } of iterations) if (type !== 'message') shares.add(model, usage);
  return shares.result();
}

/**
 * A request with `fallbacks` that was declined and answered by another model. The counters at the top are
 * only those of the attempt that answered. Each attempt has the price of the model that ran it, and one
 * that was declined before any output is not billed (Anthropic, "Refusals and fallback").
 */
function byAttempt(iterations: readonly Iteration[], served: ReadonlySet<string | null>): MessageUsage {
  const shares = new Shares({ input: 0, output: 0 });
  const asked = iterations.find(({ type }) => type === 'message')?.model ?? null;
  for (const { type, model, usage } of iterations) {
    const isDeclined = type === 'message' && !served.has(model);
    if (isDeclined && outputTokens(usage) === 0) continue;
    shares.add(isDeclined && model === asked ? null : model, usage);
  }
  return shares.result();
}

/**
 * A message's usage in disjoint classes.
 * @param usage the `usage` object as it came; of a stream, message_start's with each message_delta's over it
 * @returns null where it holds no counts that can be true
 */
export function readUsage(usage: JsonObject): MessageUsage | null {
  const top = tokensOf(usage);
  const units = unitsOf(usage);
  const iterations = iterationsOf(usage);
  if (top === null || units === null || iterations === null) return null;
  const fallbacks = iterations.filter(({ type }) => type === 'fallback_message');
  const { own, others } =
    fallbacks.length === 0
      ? besideTheTop(top, iterations)
      : byAttempt(iterations, new Set(fallbacks.map(({ model }) => model)));
  return { own: { ...own, ...units }, others };
}

/** Every prompt has a token and so has every text: where one side has none, it wasn't counted. */
export function isWholeCount({ own, others }: MessageUsage): boolean {
  const all = [own, ...others.map(({ usage }) => usage)];
  return all.some((usage) => inputTokens(usage) > 0) && all.some((usage) => outputTokens(usage) > 0);
}

/** Newer counters over older ones. They are cumulative and never added; what is null or absent keeps its value. */
export function overlay(older: JsonObject | null, newer: JsonObject): JsonObject {
  const said = Object.entries(newer).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries([...Object.entries(older ?? {}), ...said]);
}
