import type { Usage } from '../../domain/usage.ts';
import { isCount } from '../count.ts';
import { asArray, asObject, type JsonObject } from '../json.ts';
import { numberOrNull } from '../request-body.ts';
import { containerUnits, isHostedShell } from './containers.ts';
import { imagePromptTokens, mostImageTokens } from './image-generation.ts';
import { promptTokensBeside, referencedTokens } from './references.ts';

/** What a tool that the provider runs adds to a request, unseen in it: at most, as recorded answers show it. */
interface BuiltInTool {
  /** Tokens of its definition, and of the instructions that come with it. */
  readonly definition: number;
  /** Calls that one answer makes of it, where the client sets no `max_tool_calls`. */
  readonly calls: number;
  /** Tokens that each call puts into the prompt of the turn after it. */
  fetched(tool: JsonObject): number;
  /** What is paid for beside tokens, for so many calls. */
  units(tool: JsonObject, calls: number): Usage;
}

const fetches = (tokens: number) => () => tokens;
const noUnits = (): Usage => ({});

/** gpt-5-mini came to 25,278 tokens in five calls, grok-4.3 to 5,913 in two. */
const webSearch: BuiltInTool = {
  definition: 1_500,
  calls: 5,
  fetched: fetches(6_000),
  units: (_, calls) => ({ web_search: calls }),
};

/** Results are chunks of 800 tokens unless the store was set up otherwise. */
const tokensPerResult = 800;
const defaultResults = 20;

const fileSearch: BuiltInTool = {
  definition: 800,
  calls: 2,
  fetched: ({ max_num_results: results }) => (isCount(results) ? results : defaultResults) * tokensPerResult,
  units: (_, calls) => ({ file_search: calls }),
};

const codeInterpreter: BuiltInTool = {
  definition: 1_000,
  calls: 5,
  fetched: fetches(1_000),
  // OpenAI asks for a container, and is paid for that; xAI has none and is paid for each call.
  units: (tool, calls) => ({
    code_interpreter: tool.container === undefined ? calls : containerUnits(tool),
  }),
};

/** A shell that runs in a container of the provider's: charged as that of its interpreter. */
const hostedShell: BuiltInTool = {
  ...codeInterpreter,
  units: (tool) => ({ code_interpreter: containerUnits(tool) }),
};

/** The image comes back as one that the model looks at. Its own tokens are those of another model. */
const imageGeneration: BuiltInTool = {
  definition: 600,
  calls: 2,
  // What the model of images reads itself is input too, at its own price, which the hold has as well.
  fetched: (tool) => 2_500 + imagePromptTokens(tool),
  units: (tool, calls) => ({ output_image: calls * mostImageTokens(tool) }),
};

/** Its server says what it defines, and what it answers: unbounded but by the model's context. */
const mcp: BuiltInTool = { definition: 1_500, calls: 4, fetched: fetches(5_000), units: noUnits };
const toolSearch: BuiltInTool = { definition: 600, calls: 1, fetched: fetches(0), units: noUnits };

/** Tools that the client runs: it sends their results itself, in a request of their own. */
const clientSide: BuiltInTool = { definition: 800, calls: 0, fetched: fetches(0), units: noUnits };

const builtInTools: readonly (readonly [RegExp, BuiltInTool])[] = [
  // With a date behind it, an earlier version: `web_search_preview_2025_03_11`.
  [/^(web_search|x_search)/, webSearch],
  [/^(file_search|collections_search)/, fileSearch],
  [/^code_(interpreter|execution)/, codeInterpreter],
  [/^image_generation/, imageGeneration],
  [/^mcp/, mcp],
  [/^tool_search/, toolSearch],
  [/^(computer|shell|local_shell|apply_patch)/, clientSide],
];

interface UsedTool {
  readonly tool: JsonObject;
  readonly kind: BuiltInTool;
}

function usedTools({ tools }: JsonObject): readonly UsedTool[] {
  return (asArray(tools) ?? []).flatMap((entry) => {
    const tool = asObject(entry);
    const type = tool?.type;
    if (tool === null || typeof type !== 'string') return [];
    const kind = isHostedShell(tool)
      ? hostedShell
      : builtInTools.find(([pattern]) => pattern.test(type))?.[1];
    return kind === undefined ? [] : [{ tool, kind }];
  });
}

/** Tokens that the definitions of built-in tools put into every prompt. */
export function definitionTokens(request: JsonObject): number {
  return usedTools(request).reduce((sum, { kind }) => sum + kind.definition, 0);
}

/**
 * What references, and calls of built-in tools, may come to beside the prompt that the request shows. The model is asked
 * again after each call, with the prompt so far: that is counted as `cache_read`, which it mostly is, and
 * what the calls fetch as `input`. Neither makes the prompt itself longer, by which models refuse and tiers
 * are chosen.
 * @param promptTokens of the first turn
 */
export function toolUnits(request: JsonObject, promptTokens: number): Usage {
  const most = numberOrNull(request.max_tool_calls);
  const units: Record<string, number> = {};
  const add = (unit: string, count: number) => {
    if (count > 0) units[unit] = (units[unit] ?? 0) + count;
  };
  const named = referencedTokens(request.input) + promptTokensBeside(request);
  add('input', named);
  for (const { tool, kind } of usedTools(request)) {
    const calls = most === null || kind.calls === 0 ? kind.calls : most;
    for (const [unit, count] of Object.entries(kind.units(tool, calls))) add(unit, count ?? 0);
    add('input', calls * kind.fetched(tool));
    add('cache_read', calls * (promptTokens + named));
  }
  return units;
}
