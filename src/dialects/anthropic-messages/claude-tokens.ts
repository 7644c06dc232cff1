import { asArray, asObject, type JsonObject } from '../json.ts';
import { type Bound, definedToolTokens } from './tools.ts';

/** How the vocabulary of a family differs from o200k_base, which is what we count by. */
interface Family {
  readonly models: RegExp;
  /** Beside what o200k_base counts, at least. A token has some four and a half bytes of English. */
  readonly tokensPerByte: number;
  /** How many times the upper estimate of a text, which covers what o200k_base counts, has to be taken. */
  readonly estimateFactor: number;
}

/**
 * Anthropic publishes no tokenizer. In recorded answers the first models made 0.94 to 1.3 times as many
 * tokens of English as o200k_base does, those up to 4.6 at least as many and 1.17 times as many on average,
 * and from Opus 4.7 on, which came with a new vocabulary, 1.36 times. What is counted by us is what was
 * broken off, and that must not cost more than the whole of it: so the least is counted, and for a hold
 * the most. The first that matches the model's name counts; one that says nothing may be any of them.
 */
const families: readonly Family[] = [
  { models: /claude-(instant|v?[123])/i, tokensPerByte: -0.015, estimateFactor: 1.15 },
  { models: /(opus|sonnet|haiku)-4(?![-.]?[7-9](?!\d))/i, tokensPerByte: 0, estimateFactor: 1.15 },
  { models: /claude|opus|sonnet|haiku/i, tokensPerByte: 0.055, estimateFactor: 1.4 },
  { models: /(?:)/, tokensPerByte: 0, estimateFactor: 1.4 },
];

function familyOf(model: string): Family | undefined {
  return families.find(({ models }) => models.test(model));
}

/** How many times the upper estimate of a text has to be taken. */
export function estimateFactorOf(model: string): number {
  return familyOf(model)?.estimateFactor ?? 1;
}

/** What tells a model how to call tools, and, where it has to call one, that it has to. */
interface ToolInstructions {
  readonly models: RegExp;
  readonly tokens: number;
  readonly demanded: number;
}

const toolInstructions: readonly ToolInstructions[] = [
  { models: /claude-3-haiku/i, tokens: 270, demanded: 70 },
  { models: /claude-(instant|v?[123])|(opus|sonnet|haiku)-4(?![-.]?[5-9](?!\d))/i, tokens: 330, demanded: 0 },
  { models: /(opus|sonnet|haiku)-4/i, tokens: 500, demanded: 105 },
  { models: /claude|opus|sonnet|haiku/i, tokens: 500, demanded: 60 },
  { models: /(?:)/, tokens: 330, demanded: 0 },
];

const noInstructions = { tokens: 0, demanded: 0 };

/** That it may think, and for how long. */
const tokensOfThinking = 28;
/** How to answer in a schema, beside the schema itself. */
const tokensOfFormat = 120;

/** The format that an answer is to have, under its present name or its older one; null where it is free. */
export function formatOf(request: JsonObject): JsonObject | null {
  return asObject(asObject(request.output_config)?.format) ?? asObject(request.output_format);
}

/** What stands in a prompt beside what the request says; measured on recorded requests. */
export function hiddenTokens(request: JsonObject, model: string, bound: Bound): number {
  const { tokens, demanded } = toolInstructions.find(({ models }) => models.test(model)) ?? noInstructions;
  const choice = asObject(request.tool_choice)?.type;
  const hasTools = (asArray(request.tools)?.length ?? 0) > 0;
  const tools = hasTools ? tokens + (choice === 'any' || choice === 'tool' ? demanded : 0) : 0;
  const thinking = asObject(request.thinking)?.type === 'enabled' ? tokensOfThinking : 0;
  const format = formatOf(request) === null ? 0 : tokensOfFormat;
  return tools + thinking + format + definedToolTokens(request, bound);
}

/** What Claude counts for texts beyond what o200k_base does, at least; negative where it may count less. */
export function surplusTokens(texts: readonly string[], model: string): number {
  let bytes = 0;
  for (const text of texts) bytes += Buffer.byteLength(text);
  return Math.round(bytes * (familyOf(model)?.tokensPerByte ?? 0));
}
