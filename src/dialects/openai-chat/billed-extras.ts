import { addUsage, type Usage } from '../../domain/usage.ts';
import { isCount } from '../count.ts';
import { asArray, asObject, asText, type JsonObject, jsonText } from '../json.ts';

/** OpenAI's models that search before each answer. Each search is billed, and the usage doesn't say so. */
export const searchModels = /search-(preview|api)/;

/** Members of a usage by which a provider accounts for its searches itself, be it as none. */
const searchAccounts = [
  'server_tool_use_details', // OpenRouter
  'server_tool_use', // LiteLLM
  'num_search_queries', // Perplexity
  'search_context_size', // Perplexity: its fee is one per request, by this size
  'num_sources_used', // xAI
];

/** Groq's built-in tools as they name themselves: search, browser.search; visit, browser.open; python. */
const executedTools: readonly { readonly named: RegExp; readonly unit: string }[] = [
  { named: /search/, unit: 'web_search' },
  { named: /visit|open/, unit: 'web_fetch' },
  { named: /python|code/, unit: 'code_interpreter' },
];

function unitOf(tool: JsonObject): string | null {
  const names = [asText(tool.type), asText(tool.name)];
  for (const name of names) {
    const known = executedTools.find(({ named }) => name !== null && named.test(name));
    if (known !== undefined) return known.unit;
  }
  return null;
}

/** Indexes may be anything that JSON can hold. */
function placeOf(choice: unknown, index: unknown): string {
  return jsonText([choice, index]);
}

/**
 * What providers of chat completions bill beside the tokens that their usage adds up: searches, tools that
 * they run, images, and research. It is collected from the answer, because their usage leaves it out.
 */
export class BilledExtras {
  #searches = false;
  /** Units by the place of the tool's run: chunks repeat a run with its output. */
  readonly #tools = new Map<string, string>();
  readonly #images = new Set<string>();

  /** @param model the name that the answer has of it */
  takeModel(model: unknown): void {
    if (searchModels.test(asText(model) ?? '')) this.#searches = true;
  }

  /**
   * @param choice the choice's index
   * @param message a message, or a delta of one
   */
  takeMessage(choice: unknown, message: JsonObject): void {
    for (const annotation of asArray(message.annotations) ?? []) {
      if (asObject(annotation)?.type === 'url_citation') this.#searches = true;
    }
    for (const [position, entry] of (asArray(message.executed_tools) ?? []).entries()) {
      const tool = asObject(entry);
      const unit = tool === null ? null : unitOf(tool);
      if (unit !== null) this.#tools.set(placeOf(choice, tool?.index ?? position), unit);
    }
    for (const image of asArray(message.images) ?? []) {
      this.#images.add(placeOf(choice, asObject(image)?.index ?? this.#images.size));
    }
  }

  /** Of what was collected, whatever of it is billed. */
  get count(): number {
    return this.#tools.size + this.#images.size + (this.#searches ? 1 : 0);
  }

  /** What the answer itself shows, whatever a usage would say of it. */
  seen(): Usage {
    const images = this.#images.size;
    return { ...this.#units({}, {}), ...(images === 0 ? {} : { image: images }) };
  }

  /** @returns null where a count can't be one: who miscounts one class may have miscounted the others */
  addedTo(usage: Usage, reported: JsonObject): Usage | null {
    const withResearch = addResearch(usage, reported);
    const withImages = withResearch === null ? null : this.#addImages(withResearch, reported);
    return withImages === null ? null : addUsage(withImages, this.#units(usage, reported));
  }

  #units(usage: Usage, reported: JsonObject): Usage {
    const units: Record<string, number> = {};
    for (const unit of this.#tools.values()) units[unit] = (units[unit] ?? 0) + 1;
    const isAccounted = searchAccounts.some((name) => (reported[name] ?? null) !== null);
    if (this.#searches && !isAccounted) units.web_search ??= 1;
    // What the usage counts itself stands: nothing is billed twice.
    return Object.fromEntries(Object.entries(units).filter(([unit]) => usage[unit] === undefined));
  }

  /** Images as tokens of their own where the provider counts them among the completion's, by the piece elsewhere. */
  #addImages(usage: Usage, reported: JsonObject): Usage | null {
    const tokens = asObject(reported.completion_tokens_details)?.image_tokens ?? 0;
    if (!isCount(tokens)) return null;
    if (tokens === 0) return this.#images.size === 0 ? usage : { ...usage, image: this.#images.size };
    const { output = 0 } = usage;
    const moved = usage.output_image === undefined ? Math.min(tokens, output) : 0;
    return moved === 0 ? usage : { ...usage, output: output - moved, output_image: moved };
  }
}

/**
 * Perplexity's deep research bills what it read and what it reasoned, and has neither in its total: prompt
 * 108, completion 3,256, total 3,364, citation_tokens 7,299, reasoning_tokens 73,248
 * (bgeneto/open-webui-cost-tracker#6). What it read has the price of input.
 */
function addResearch(usage: Usage, reported: JsonObject): Usage | null {
  const { citation_tokens: read = null, reasoning_tokens: reasoned = null } = reported;
  const cost = asObject(reported.cost);
  // Its other models may report what they read, and don't bill it: their cost has no such item.
  if (read === null || (cost !== null && (cost.citation_tokens_cost ?? null) === null)) return usage;
  if (!isCount(read) || !(reasoned === null || isCount(reasoned))) return null;
  const isCounted = reasoned === null || usage.reasoning !== undefined;
  return addUsage(usage, { input: read, ...(isCounted ? {} : { reasoning: reasoned }) });
}
