import { asArray, asObject, type JsonObject } from '../json.ts';
import { TextEstimate } from '../text-estimate.ts';

/** Beside the texts of a message: OpenAI needs 3 and the role, the templates of open models up to twice that. */
const tokensPerMessage = 6;

/** What a model family's template puts into every prompt, unseen by who sends the request. */
interface Template {
  readonly models: RegExp;
  /** To start the prompt and the answer: a date, instructions. */
  readonly request: number;
  /** More of it where there are tools: how to call them. */
  readonly tools: number;
}

/** At most, as recorded answers show it. The first that matches the model's name counts, and the last one always does. */
const templates: readonly Template[] = [
  { models: /grok-4(?!.*fast)/i, request: 720, tools: 350 },
  { models: /grok-3/i, request: 12, tools: 350 },
  { models: /grok/i, request: 180, tools: 350 },
  { models: /gpt-oss/i, request: 80, tools: 120 },
  { models: /llama-?4/i, request: 40, tools: 660 },
  { models: /llama/i, request: 40, tools: 150 },
  { models: /claude/i, request: 30, tools: 560 },
  { models: /deepseek-v4/i, request: 90, tools: 180 },
  { models: /deepseek/i, request: 12, tools: 180 },
  { models: /minimax|qwen/i, request: 40, tools: 150 },
  { models: /stral/i, request: 14, tools: 100 },
  { models: /(?:)/, request: 8, tools: 60 },
];

/** Brackets, quotes and commas around a member or an element of JSON, as models see it. */
const tokensPerJsonValue = 2;

/** An image costs by its size and the model's way of cutting it up, never by its bytes. */
interface ImageBound {
  readonly models: RegExp;
  readonly lowDetail: number;
  readonly otherDetail: number;
}

/**
 * At most, per image. gpt-4o-mini multiplies its counts so that an image costs as much as on gpt-4o.
 * For others, 5,000 is above what OpenAI, Anthropic and Gemini count for one of 2000 × 2000 pixels.
 */
const imageBounds: readonly ImageBound[] = [
  { models: /4o-mini/, lowDetail: 2_833, otherDetail: 48_169 },
  { models: /(?:)/, lowDetail: 1_500, otherDetail: 5_000 },
];

function firstFor<Row extends { readonly models: RegExp }>(
  model: string,
  rows: readonly Row[],
): Row | undefined {
  return rows.find(({ models }) => models.test(model));
}

/** Base64 has four characters for three bytes. */
const bytesPerBase64Character = 0.75;
/** Gemini hears 32 tokens a second, OpenAI 10. */
const audioTokensPerSecond = 32;
/** WAV has at least 8,000 samples of two bytes a second; what is compressed, hardly less than 32 kbit/s. */
const wavBytesPerSecond = 16_000;
const compressedBytesPerSecond = 4_000;

/** A file becomes its text and an image of each page. Nothing short of reading it would tell how many. */
const fileBytesPerToken = 4;
const leastFileTokens = 5_000;
const mostFileTokens = 128_000;
const videoTokens = 40_000;

function dataLength(value: unknown): number {
  return typeof value === 'string' ? value.length * bytesPerBase64Character : 0;
}

function imageTokens(part: JsonObject, model: string): number {
  const bound = firstFor(model, imageBounds);
  return (asObject(part.image_url)?.detail === 'low' ? bound?.lowDetail : bound?.otherDetail) ?? 0;
}

function audioTokens(part: JsonObject): number {
  const { data, format } = asObject(part.input_audio) ?? {};
  const bytesPerSecond = format === 'wav' ? wavBytesPerSecond : compressedBytesPerSecond;
  return (dataLength(data) / bytesPerSecond) * audioTokensPerSecond;
}

function fileTokens(part: JsonObject): number {
  const { file_data: data } = asObject(part.file) ?? {};
  if (data === undefined) return mostFileTokens / 4;
  return Math.min(mostFileTokens, Math.max(leastFileTokens, dataLength(data) / fileBytesPerToken));
}

/** Parts of a message that aren't text, each by a bound of its own. */
const mediaTokens: ReadonlyMap<unknown, (part: JsonObject, model: string) => number> = new Map([
  ['image_url', imageTokens],
  ['input_audio', audioTokens],
  ['file', fileTokens],
  ['video_url', () => videoTokens],
]);

/** Adds up everything in a value that a model might be shown. Without recursion: a body may nest deeper than the stack. */
function addValue(estimate: TextEstimate, root: unknown): void {
  const left: unknown[] = [root];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === 'string') estimate.add(value);
    const object = asObject(value);
    for (const name in object) estimate.add(name);
    const inner = asArray(value) ?? Object.values(object ?? {});
    estimate.addTokens(tokensPerJsonValue * Math.max(1, inner.length));
    for (const member of inner) left.push(member);
  }
}

function addContentPart(estimate: TextEstimate, entry: unknown, model: string): void {
  const part = asObject(entry);
  const bound = mediaTokens.get(part?.type);
  if (part !== null && bound !== undefined) estimate.addTokens(bound(part, model));
  else addValue(estimate, part?.text ?? entry);
}

function addMessage(
  estimate: TextEstimate,
  { role: _, content, ...others }: JsonObject,
  model: string,
): void {
  estimate.addTokens(tokensPerMessage);
  if (typeof content === 'string') estimate.add(content);
  else for (const part of asArray(content) ?? []) addContentPart(estimate, part, model);
  for (const value of Object.values(others)) if (value !== null) addValue(estimate, value);
}

/**
 * At most how many tokens the prompt of a request has, but for what its provider fetches into it: the
 * results of a search that it makes (Perplexity, `plugins`).
 */
export function estimateInputTokens(request: JsonObject, model: string): number {
  const estimate = new TextEstimate();
  const template = firstFor(model, templates);
  estimate.addTokens(template?.request ?? 0);
  for (const message of asArray(request.messages) ?? []) addMessage(estimate, asObject(message) ?? {}, model);
  const definitions = [...(asArray(request.tools) ?? []), ...(asArray(request.functions) ?? [])];
  if (definitions.length > 0) estimate.addTokens(template?.tools ?? 0);
  for (const definition of definitions) addValue(estimate, definition);
  const schema = asObject(request.response_format)?.json_schema;
  if (schema !== undefined) addValue(estimate, schema);
  return estimate.total();
}
