import { asArray, asObject, type JsonObject } from '../json.ts';
import { TextEstimate } from '../text-estimate.ts';
import { addValue, templateTokens } from '../value-estimate.ts';
import { mediaPartTokens } from './media.ts';
import { addOtherMembers } from './other-members.ts';

/** Beside the texts of a message: OpenAI needs 3 and the role, the templates of open models up to twice that. */
const tokensPerMessage = 6;

/** An audio answer that the provider remembers by its id: three minutes at OpenAI's 10 tokens a second. */
const rememberedAudioTokens = 1_800;

/** Members whose texts are added up by what they are. */
const estimatedMembers: ReadonlySet<string> = new Set(['messages', 'tools', 'functions', 'response_format']);

function addContentPart(estimate: TextEstimate, entry: unknown, model: string): void {
  const part = asObject(entry);
  const tokens = part === null ? null : mediaPartTokens(part, model);
  if (tokens !== null) estimate.addTokens(tokens);
  else addValue(estimate, part?.text ?? entry);
}

/** A text, a list of parts, or a part by itself, which some providers take, too. */
function addContent(estimate: TextEstimate, content: unknown, model: string): void {
  if (typeof content === 'string') estimate.add(content);
  else if (Array.isArray(content)) for (const part of content) addContentPart(estimate, part, model);
  else if (asObject(content) !== null) addContentPart(estimate, content, model);
}

function addMessage(
  estimate: TextEstimate,
  { role: _, content, audio, ...others }: JsonObject,
  model: string,
): void {
  estimate.addTokens(tokensPerMessage);
  if (asObject(audio) !== null) estimate.addTokens(rememberedAudioTokens);
  addContent(estimate, content, model);
  for (const value of Object.values(others)) if (value !== null) addValue(estimate, value);
}

/**
 * At most how many tokens the prompt of a request has, but for what its provider fetches into it: the
 * results of a search that it makes (Perplexity, `plugins`).
 */
export function estimateInputTokens(request: JsonObject, model: string): number {
  const estimate = new TextEstimate();
  for (const message of asArray(request.messages) ?? []) addMessage(estimate, asObject(message) ?? {}, model);
  const definitions = [...(asArray(request.tools) ?? []), ...(asArray(request.functions) ?? [])];
  // A schema or a grammar, by whatever name: `json_schema`, `schema`, `pattern`.
  const { type: _, ...format } = asObject(request.response_format) ?? {};
  const formats = Object.values(format).filter((value) => value !== null);
  // Claude is given the schema as a tool by some who host it.
  estimate.addTokens(templateTokens(model, definitions.length > 0 || formats.length > 0));
  for (const value of [...definitions, ...formats]) addValue(estimate, value);
  addOtherMembers(estimate, request, estimatedMembers);
  return estimate.total();
}
