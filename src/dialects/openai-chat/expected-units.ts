import type { Usage } from '../../domain/usage.ts';
import { isCount } from '../count.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { searchModels } from './billed-extras.ts';

/**
 * Units beside tokens that a request may come to, for its hold. Where nothing bounds them, it is by what
 * was seen: a unit more is charged all the same, and a model without a price for them holds nothing.
 */

/** Groq's systems run so many tools at most for one answer. */
const compoundTools = 10;
/** Perplexity's deep research made 74 searches for one answer (bgeneto/open-webui-cost-tracker#6). */
const researchSearches = 100;
/** A tool that searches as often as the model likes: recorded answers made up to three. */
const assumedToolSearches = 10;
/** xAI's own maximum is 15 or 20 where the client sets none. */
const assumedSources = 20;
/** Models that draw answer with one image, seldom with a few. */
const assumedImages = 4;

/** Models by what they do for each answer. The first that matches counts. */
const byModel: readonly { readonly models: RegExp; readonly units: Usage }[] = [
  { models: searchModels, units: { web_search: 1 } },
  { models: /sonar-deep-research/, units: { web_search: researchSearches } },
  { models: /compound.*mini/, units: { web_search: 1, web_fetch: 1, code_interpreter: 1 } },
  {
    models: /compound/,
    units: { web_search: compoundTools, web_fetch: compoundTools, code_interpreter: compoundTools },
  },
];

/** A tool of the provider's own that searches: OpenRouter's, Groq's. */
function searchesOfTool(entry: unknown): number {
  const { type, parameters } = asObject(entry) ?? {};
  if (!/(web|browser)_search/.test(asText(type) ?? '')) return 0;
  const most = asObject(parameters)?.max_uses;
  return isCount(most) ? most : assumedToolSearches;
}

function searchesOf(request: JsonObject): number {
  const plugins = (asArray(request.plugins) ?? []).filter((plugin) => asObject(plugin)?.id === 'web');
  let searches = plugins.length;
  if (asObject(request.web_search_options) !== null) searches++;
  for (const tool of asArray(request.tools) ?? []) searches += searchesOfTool(tool);
  return searches;
}

/** xAI reads sources that it finds itself, and each is billed. */
function sourcesOf(request: JsonObject): number {
  const search = asObject(request.search_parameters);
  if (search === null || search.mode === 'off') return 0;
  return isCount(search.max_search_results) ? search.max_search_results : assumedSources;
}

function imagesOf(request: JsonObject, choices: number): number {
  return asArray(request.modalities)?.includes('image') === true ? assumedImages * choices : 0;
}

/** @param choices how many answers were asked for at once */
export function expectedUnits(request: JsonObject, choices: number): Usage {
  const model = asText(request.model) ?? '';
  const units: Record<string, number> = {};
  const own: Usage = byModel.find(({ models }) => models.test(model))?.units ?? {};
  for (const [unit, count] of Object.entries(own)) if (count !== undefined) units[unit] = count;
  const searches = Math.max(searchesOf(request), units.web_search ?? 0);
  if (searches > 0) units.web_search = searches;
  const sources = sourcesOf(request);
  if (sources > 0) units.search_source = sources;
  const images = imagesOf(request, choices);
  if (images > 0) units.image = images;
  return units;
}
