import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { audioTokens, fileTokens, imageTokens, type MediaSource } from '../media-estimate.ts';
import { TextEstimate } from '../text-estimate.ts';
import { addValue, templateTokens } from '../value-estimate.ts';
import { definitionTokens } from './built-in-tools.ts';
import { mostEncryptedTokens } from './encrypted.ts';

/** Beside the texts of an item: OpenAI needs 3 and the role, the templates of open models up to twice that. */
const tokensPerItem = 6;

/** In the first months of the API, OpenAI put some twenty tokens of its own before each prompt. */
const tokensPerRequest = 20;

/** Names that tie items together: the model isn't shown them, or not at their length. */
const unseenMembers: ReadonlySet<string> = new Set(['id', 'type', 'status', 'role', 'encrypted_content']);

/** `data:image/png;base64,…` holds the bytes; any other URL, and an id, is for the provider to follow. */
function sourceOf(value: unknown): MediaSource | null {
  if (typeof value !== 'string') return null;
  const comma = value.startsWith('data:') ? value.indexOf(',') : -1;
  return comma === -1 ? { reference: value } : { base64: value.slice(comma + 1) };
}

function image({ image_url: url, detail }: JsonObject, model: string): number {
  return imageTokens(model, { source: sourceOf(url), detail: asText(detail) });
}

/** `file_data` may be a data URL or bare base64. */
function fileSource({ file_data: data }: JsonObject): MediaSource | null {
  if (typeof data !== 'string') return null;
  return data.startsWith('data:') ? sourceOf(data) : { base64: data };
}

/** Parts of an item that aren't text, each by a bound of its own. */
const mediaTokens: ReadonlyMap<unknown, (part: JsonObject, model: string) => number> = new Map([
  ['input_image', image],
  ['computer_screenshot', image],
  ['input_file', (part: JsonObject) => fileTokens(fileSource(part))],
  [
    'input_audio',
    (part: JsonObject) => {
      const { data, format } = asObject(part.input_audio) ?? part;
      return audioTokens(typeof data === 'string' ? { base64: data } : null, asText(format) ?? '');
    },
  ],
]);

function addPart(estimate: TextEstimate, entry: unknown, model: string): void {
  const part = asObject(entry);
  const bound = mediaTokens.get(part?.type);
  if (part !== null && bound !== undefined) estimate.addTokens(bound(part, model));
  else addValue(estimate, part?.text ?? part?.refusal ?? entry);
}

/** A text, a part, or a list of parts. */
function addParts(estimate: TextEstimate, content: unknown, model: string): void {
  if (typeof content === 'string') estimate.add(content);
  else for (const part of asArray(content) ?? [content]) addPart(estimate, part, model);
}

function addItem(estimate: TextEstimate, item: JsonObject, model: string): void {
  estimate.addTokens(tokensPerItem + mostEncryptedTokens(item));
  for (const [name, value] of Object.entries(item)) {
    if (value === null || unseenMembers.has(name)) continue;
    if (name === 'content' || name === 'output' || name === 'summary') addParts(estimate, value, model);
    else if (name === 'result' && item.type === 'image_generation_call') {
      estimate.addTokens(imageTokens(model, { source: null, detail: null }));
    } else addValue(estimate, value);
  }
}

/** Texts and media that a stored prompt is filled in with. */
function addVariables(estimate: TextEstimate, prompt: unknown, model: string): void {
  for (const value of Object.values(asObject(asObject(prompt)?.variables) ?? {})) {
    addParts(estimate, value, model);
  }
}

/**
 * At most how many tokens the first prompt of a request has, as far as the request shows it: what the
 * provider remembers, what references stand for, and what its tools fetch, come on top of it.
 */
export function estimateInputTokens(request: JsonObject, model: string): number {
  const estimate = new TextEstimate();
  estimate.addTokens(tokensPerRequest);
  const { input, instructions, prompt, tools, text } = request;
  for (const told of [instructions, typeof input === 'string' ? input : null]) {
    if (typeof told !== 'string') continue;
    estimate.addTokens(tokensPerItem);
    estimate.add(told);
  }
  for (const item of asArray(input) ?? []) addItem(estimate, asObject(item) ?? {}, model);
  addVariables(estimate, prompt, model);
  const definitions = asArray(tools) ?? [];
  for (const definition of definitions) addValue(estimate, definition);
  estimate.addTokens(templateTokens(model, definitions.length > 0) + definitionTokens(request));
  const format = asObject(asObject(text)?.format);
  if (format !== null) addValue(estimate, format);
  return estimate.total();
}
