import type { Usage } from '../../domain/usage.ts';
import { asArray, asObject, type JsonObject } from '../json.ts';
import { asList } from './prompt-pieces.ts';
import { member } from './spelling.ts';

/**
 * What tools of Google's own put before the model at most, in tokens of input. A search of Gemini 3 came to
 * 37,441 in a recorded answer, one page of a URL to 4,610, and running code to 877; of what files and stores
 * hold, chunks of a few hundred tokens are shown.
 */
const fetchedTokens: readonly (readonly [string, number])[] = [
  ['googleSearch', 40_000],
  ['googleSearchRetrieval', 40_000],
  ['enterpriseWebSearch', 40_000],
  ['parallelAiSearch', 40_000],
  ['urlContext', 40_000],
  ['googleMaps', 10_000],
  ['fileSearch', 16_000],
  ['retrieval', 16_000],
  ['codeExecution', 5_000],
  ['mcpServers', 20_000],
];

/** An empty object is how most tools are asked for; an empty list is no tool. */
function isOffered(tool: JsonObject | null, name: string): boolean {
  const value = member(tool, name);
  return value !== undefined && value !== null && asArray(value)?.length !== 0;
}

/**
 * For the hold, as input beside the prompt: it doesn't make the prompt itself longer, by which requests are
 * refused. A tool that is offered twice is one tool.
 */
export function fetchedUnits(request: JsonObject): Usage {
  const tools = asList(request.tools).map(asObject);
  let input = 0;
  for (const [name, tokens] of fetchedTokens) {
    if (tools.some((tool) => isOffered(tool, name))) input += tokens;
  }
  return input === 0 ? {} : { input };
}
