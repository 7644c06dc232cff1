import type { ModelUsage, Usage } from '../../domain/usage.ts';
import { isCount } from '../count.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { type ContainerTool, containerOfShell } from './containers.ts';
import { assumedImageModel, imageTokensOf } from './image-generation.ts';

/** What answers say of their built-in tools beside the items: each may be absent. */
export interface ToolReports {
  /** The `usage` of the answer, in which xAI and OpenRouter count the calls of tools. */
  readonly usage: JsonObject | null;
  /** The `tool_usage` of the answer, in which OpenAI does since 2026. */
  readonly toolUsage: JsonObject | null;
  /** The model that generates images, as the answer or the request names it. */
  readonly imageModel: string | null;
  /** Units of the container of each tool, where the answer says of the tool what it runs in. */
  readonly containerSizes: ReadonlyMap<ContainerTool, number>;
}

/** The model of an `image_generation` tool in a list of tools; null where it names none. */
export function imageModelOf(tools: unknown): string | null {
  for (const entry of asArray(tools) ?? []) {
    const tool = asObject(entry);
    if (tool?.type === 'image_generation') return asText(tool.model);
  }
  return null;
}

/**
 * Calls of built-in tools that are paid for beside tokens, each known by its id: an item comes when it is
 * done, and again in the whole answer.
 */
export class ToolCalls {
  readonly #webSearches = new Set<unknown>();
  readonly #fileSearches = new Set<unknown>();
  readonly #containers = new Map<unknown, ContainerTool>();
  /** Tokens of each image that was generated. */
  readonly #images = new Map<unknown, number>();

  /** @param place tells it apart from other items where it has no id */
  add(place: unknown, item: JsonObject): void {
    const id = asText(item.id) ?? place;
    switch (item.type) {
      case 'web_search_call':
        if (isSearch(item)) this.#webSearches.add(id);
        break;
      case 'file_search_call':
        this.#fileSearches.add(id);
        break;
      case 'code_interpreter_call':
        // OpenAI is paid for the container, however often code runs in it; xAI names none and is paid a call.
        this.#containers.set(asText(item.container_id) ?? id, 'code_interpreter');
        break;
      case 'shell_call':
        this.#addShell(containerOfShell(item));
        break;
      case 'image_generation_call':
        if (asText(item.result) !== null) this.#images.set(id, imageTokensOf(item));
        break;
      default:
    }
  }

  addAll(output: readonly unknown[]): void {
    for (const [index, entry] of output.entries()) {
      const item = asObject(entry);
      if (item !== null) this.add(index, item);
    }
  }

  /** Units by class: as the provider counted them, else as we did. Nearly every answer has none, so a zero isn't worth a class. */
  units(reports: ToolReports): Usage {
    const own = {
      web_search: this.#webSearches.size,
      file_search: this.#fileSearches.size,
      code_interpreter: this.#containerUnits(reports),
    };
    const units = { ...own, ...reportedUnits(reports) };
    return Object.fromEntries(Object.entries(units).filter(([, count]) => count > 0));
  }

  /** Images have a model of their own, whose tokens are in nobody's `usage`. */
  otherModels(reports: ToolReports): readonly ModelUsage[] {
    const { toolUsage, imageModel } = reports;
    // Who is paid by the image and says how many there were isn't paid for their tokens too.
    const arePaidEach = (reportedUnits(reports).image ?? 0) > 0;
    const counted = arePaidEach ? null : this.#countedImages();
    const usage = reportedImages(asObject(toolUsage?.image_gen)) ?? counted;
    return usage === null ? [] : [{ model: imageModel ?? assumedImageModel, usage }];
  }

  /** A shell of the client's has no container, and one that runs in another tool's is that one. */
  #addShell(container: string | null): void {
    if (container !== null && !this.#containers.has(container)) this.#containers.set(container, 'shell');
  }

  #containerUnits({ containerSizes }: ToolReports): number {
    let units = 0;
    for (const tool of this.#containers.values()) units += containerSizes.get(tool) ?? 1;
    return units;
  }

  #countedImages(): Usage | null {
    let tokens = 0;
    for (const image of this.#images.values()) tokens += image;
    return tokens === 0 ? null : { output_image: tokens };
  }
}

/** Reading a page that a search found, and looking for words in it, costs its tokens only; a failed search nothing. */
function isSearch({ action, status }: JsonObject): boolean {
  const type = asObject(action)?.type;
  return status !== 'failed' && (type === undefined || type === 'search');
}

function sumOf(counts: JsonObject, names: readonly string[]): number | null {
  let sum: number | null = null;
  for (const name of names) {
    const count = counts[name];
    if (isCount(count)) sum = (sum ?? 0) + count;
  }
  return sum;
}

/** xAI's names of what it counts: a search of X costs as much as one of the web. */
const xaiTools: Readonly<Record<string, readonly string[]>> = {
  web_search: ['web_search_calls', 'x_search_calls'],
  file_search: ['file_search_calls', 'document_search_calls'],
  code_interpreter: ['code_interpreter_calls'],
  image: ['image_generation_calls'],
};

function reportedUnits({ usage, toolUsage }: ToolReports): Record<string, number> {
  const units: Record<string, number> = {};
  const details = asObject(usage?.server_side_tool_usage_details);
  for (const [unit, names] of Object.entries(xaiTools)) {
    const count = details === null ? null : sumOf(details, names);
    if (count !== null) units[unit] = count;
  }
  const searches =
    asObject(toolUsage?.web_search)?.num_requests ??
    asObject(usage?.server_tool_use_details)?.web_search_requests;
  if (isCount(searches)) units.web_search = searches;
  return units;
}

/** Null where nothing is reported that can be true, or nothing but zeros: an image that is there had tokens. */
function reportedImages(images: JsonObject | null): Usage | null {
  if (images === null) return null;
  const { input_tokens: input, output_tokens: output } = images;
  if (!isCount(input) || !isCount(output) || input + output === 0) return null;
  const text = asObject(images.output_tokens_details)?.text_tokens;
  const written = isCount(text) ? Math.min(text, output) : 0;
  return { input, output: written, output_image: output - written };
}
