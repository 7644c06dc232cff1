import type { Usage, UsageClass } from '../../domain/usage.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { numberOrNull } from '../request-body.ts';

/** The least is for a bill, the most for a hold. */
interface Bounds {
  readonly least: number;
  readonly most: number;
}

export type Bound = keyof Bounds;

/** A tool that Anthropic defines: the request only names it, and the model is shown far more. */
interface DefinedTool {
  /** Its type is this and a date: "web_search_20250305". */
  readonly type: string;
  /** What its description adds to the prompt, beside that of having tools at all, by what was recorded. */
  readonly shown: Bounds;
  /** What each use is charged as beside its tokens. */
  readonly unit?: UsageClass;
  /** Whether what it brings becomes input, in this very request. */
  readonly fetches?: boolean;
}

const definedTools: readonly DefinedTool[] = [
  { type: 'web_search', shown: { least: 1_600, most: 2_300 }, unit: 'web_search', fetches: true },
  { type: 'web_fetch', shown: { least: 450, most: 700 }, fetches: true },
  { type: 'code_execution', shown: { least: 1_700, most: 2_000 } },
  { type: 'computer_toolset', shown: { least: 0, most: 4_000 } },
  { type: 'computer', shown: { least: 1_250, most: 1_300 } },
  { type: 'browser_toolset', shown: { least: 0, most: 4_000 } },
  { type: 'advisor', shown: { least: 400, most: 700 } },
  { type: 'tool_search', shown: { least: 90, most: 150 } },
  { type: 'text_editor', shown: { least: 400, most: 800 } },
  { type: 'memory', shown: { least: 0, most: 1_200 } },
  { type: 'bash', shown: { least: 150, most: 300 } },
  // The tools of a server that only the provider asks for them.
  { type: 'mcp_toolset', shown: { least: 0, most: 5_000 } },
];

/** Where a request sets no `max_uses`: answers that searched had done it once, and the model ends a turn after a few. */
const assumedUses = 5;
/** Who allows more than a turn can hold means no limit at all, and not to pay for it. */
const mostUses = 50;

/**
 * What one use of a fetching tool brings: a search, with the prompt that is read once more, up to 11,000 tokens in recorded answers, a page up
 * to its `max_content_tokens`. One use is held for; a stream's hold follows what more of them bring.
 */
const fetchedTokens = 12_000;

interface UsedTool {
  readonly defined: DefinedTool;
  readonly tool: JsonObject;
}

function usedTools(request: JsonObject): UsedTool[] {
  return (asArray(request.tools) ?? []).flatMap((entry) => {
    const tool = asObject(entry) ?? {};
    const type = asText(tool.type);
    const defined = definedTools.find((candidate) => type?.startsWith(candidate.type));
    return defined === undefined ? [] : [{ defined, tool }];
  });
}

function countOr(value: unknown, otherwise: number): number {
  const count = numberOrNull(value);
  return count !== null && Number.isSafeInteger(count) && count >= 0 ? count : otherwise;
}

/** Units beside tokens that the tools of a request may come to. Code execution is charged by the hour, elsewhere. */
export function serverToolUnits(request: JsonObject): Usage {
  const units: Record<string, number> = {};
  for (const { defined, tool } of usedTools(request)) {
    if (defined.unit === undefined) continue;
    const uses = Math.min(mostUses, countOr(tool.max_uses, assumedUses));
    units[defined.unit] = (units[defined.unit] ?? 0) + uses;
  }
  return units;
}

/** What the provider shows the model of the tools that it defines. */
export function definedToolTokens(request: JsonObject, bound: Bound): number {
  return usedTools(request).reduce((sum, { defined }) => sum + defined.shown[bound], 0);
}

/** What the first use of each fetching tool may bring into the prompt. */
export function fetchedToolTokens(request: JsonObject): number {
  let tokens = 0;
  for (const { defined, tool } of usedTools(request)) {
    if (defined.fetches !== true || tool.max_uses === 0) continue;
    tokens += countOr(tool.max_content_tokens, fetchedTokens);
  }
  return tokens;
}
