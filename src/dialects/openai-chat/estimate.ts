import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { audioTokens, fileTokens, imageTokens, type MediaSource, videoTokens } from '../media-estimate.ts';
import { TextEstimate } from '../text-estimate.ts';
import { addValue, templateTokens } from '../value-estimate.ts';

/** Beside the texts of a message: OpenAI needs 3 and the role, the templates of open models up to twice that. */
const tokensPerMessage = 6;

/** An audio answer that the provider remembers by its id: three minutes at OpenAI's 10 tokens a second. */
const rememberedAudioTokens = 1_800;

/** `data:image/png;base64,…` holds the bytes; any other URL is for the provider to follow. */
function sourceOf(url: unknown): MediaSource | null {
  if (typeof url !== 'string') return null;
  const comma = url.startsWith('data:') ? url.indexOf(',') : -1;
  return comma === -1 ? { reference: url } : { base64: url.slice(comma + 1) };
}

function dataOf(data: unknown): MediaSource | null {
  return typeof data === 'string' ? { base64: data } : null;
}

/** Parts of a message that aren't text, each by a bound of its own. */
const mediaTokens: ReadonlyMap<unknown, (part: JsonObject, model: string) => number> = new Map([
  [
    'image_url',
    (part: JsonObject, model: string) => {
      const image = asObject(part.image_url) ?? {};
      return imageTokens(model, { source: sourceOf(image.url), detail: asText(image.detail) });
    },
  ],
  [
    'input_audio',
    (part: JsonObject) => {
      const { data, format } = asObject(part.input_audio) ?? {};
      return audioTokens(dataOf(data), asText(format) ?? '');
    },
  ],
  ['file', (part: JsonObject) => fileTokens(dataOf(asObject(part.file)?.file_data))],
  ['video_url', (part: JsonObject) => videoTokens(sourceOf(asObject(part.video_url)?.url))],
]);

function addContentPart(estimate: TextEstimate, entry: unknown, model: string): void {
  const part = asObject(entry);
  const bound = mediaTokens.get(part?.type);
  if (part !== null && bound !== undefined) estimate.addTokens(bound(part, model));
  else addValue(estimate, part?.text ?? entry);
}

function addMessage(
  estimate: TextEstimate,
  { role: _, content, audio, ...others }: JsonObject,
  model: string,
): void {
  estimate.addTokens(tokensPerMessage);
  if (asObject(audio) !== null) estimate.addTokens(rememberedAudioTokens);
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
  for (const message of asArray(request.messages) ?? []) addMessage(estimate, asObject(message) ?? {}, model);
  const definitions = [...(asArray(request.tools) ?? []), ...(asArray(request.functions) ?? [])];
  const schema = asObject(request.response_format)?.json_schema;
  // Claude is given the schema as a tool by some who host it.
  estimate.addTokens(templateTokens(model, definitions.length > 0 || schema !== undefined));
  for (const definition of definitions) addValue(estimate, definition);
  if (schema !== undefined) addValue(estimate, schema);
  return estimate.total();
}
