import type { Usage } from '../../domain/usage.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { asList } from './prompt-pieces.ts';
import { member } from './spelling.ts';

/**
 * How Google charges for searches (ai.google.dev/gemini-api/docs/pricing and /google-search, the same on
 * Vertex): up to Gemini 2.5 once for a prompt that was grounded, however many queries it took and only if
 * sources came of it; from Gemini 3 on for each query, of which empty and repeated ones don't count.
 */
type Charged = 'grounded_prompt' | 'web_search';

const firstGenerationByQuery = 3;

/** No recorded answer took more than seven queries, and nothing in a request bounds them. */
const mostQueries = 10;

/** Null where the name doesn't tell: a public name of our own, or one like "gemini-flash-latest". */
function generationOf(model: string): number | null {
  const generation = /(?:^|\/)gemini-(\d+)/.exec(model)?.[1];
  return generation === undefined ? null : Number(generation);
}

function chargedBy(model: string): Charged | null {
  const generation = generationOf(model);
  if (generation === null) return null;
  return generation < firstGenerationByQuery ? 'grounded_prompt' : 'web_search';
}

const groundingTools = [
  'googleSearch',
  'googleSearchRetrieval',
  'enterpriseWebSearch',
  'googleMaps',
] as const;

/** What searching may come to at most. Of a model whose generation isn't known, one of the two has a price. */
export function groundingUnits(request: JsonObject, model: string): Usage {
  const tools = asList(request.tools).map(asObject);
  const offered = groundingTools.filter((name) =>
    tools.some((tool) => {
      const value = member(tool, name);
      return value !== undefined && value !== null;
    }),
  );
  if (offered.length === 0) return {};
  const charged = chargedBy(model);
  return {
    ...(charged === 'web_search' ? {} : { grounded_prompt: offered.length }),
    ...(charged === 'grounded_prompt' ? {} : { web_search: mostQueries * offered.length }),
  };
}

/** Collects what answers say of their searches: chunks of a stream, and candidates, may repeat each other. */
export class Grounding {
  readonly #queries = new Set<string>();
  #hasSources = false;
  #hasPlaces = false;

  add(metadata: JsonObject | null): void {
    if (metadata === null) return;
    for (const queries of [metadata.webSearchQueries, metadata.imageSearchQueries]) {
      for (const query of asArray(queries) ?? []) {
        const text = asText(query);
        if (text !== null) this.#queries.add(text);
      }
    }
    for (const entry of asArray(metadata.groundingChunks) ?? []) {
      const chunk = asObject(entry);
      if (chunk === null) continue;
      if (asObject(chunk.maps) !== null) this.#hasPlaces = true;
      else this.#hasSources = true;
    }
  }

  /** Whether the web was searched. */
  get isSearch(): boolean {
    return this.#queries.size > 0;
  }

  /** Searches in the web and on the map are charged each by itself; queries on the map aren't listed. */
  units(model: string): Usage {
    const places = this.#hasPlaces ? 1 : 0;
    const charged = chargedBy(model) ?? 'web_search';
    const searches =
      charged === 'web_search' ? this.#queries.size : this.#queries.size > 0 && this.#hasSources ? 1 : 0;
    return searches + places === 0 ? {} : { [charged]: searches + places };
  }
}
