import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import type { MediaSource } from '../media-estimate.ts';
import { member } from './spelling.ts';

/** What a request shows the model, piece by piece, whichever way it is spelled. */
export type PromptPiece =
  | { readonly kind: 'text'; readonly text: string }
  /** A function that is defined, was called, or has answered, and whatever else is a part one day. */
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'definition'; readonly value: unknown }
  /** A schema that the answer has to follow: some models are shown it as a part of the prompt. */
  | { readonly kind: 'schema'; readonly value: unknown }
  | { readonly kind: 'media'; readonly mimeType: string; readonly source: MediaSource | null }
  /** Thoughts of an earlier turn, encrypted, which the model is shown again. */
  | { readonly kind: 'signature'; readonly length: number }
  /** The frame around the parts of one turn. */
  | { readonly kind: 'turn' };

/** Google's parser takes one object where a list is expected. */
export function asList(value: unknown): readonly unknown[] {
  return asArray(value) ?? (asObject(value) === null ? [] : [value]);
}

/** Members of a part that are no content of it. */
const partSettings: ReadonlySet<string> = new Set([
  'thought',
  'thoughtSignature',
  'thought_signature',
  'videoMetadata',
  'video_metadata',
  'mediaResolution',
  'media_resolution',
]);

export function* promptPieces(request: JsonObject): Generator<PromptPiece, void, undefined> {
  const system = member(request, 'systemInstruction');
  yield* contentPieces(typeof system === 'string' ? { parts: { text: system } } : system);
  for (const content of asList(request.contents)) yield* contentPieces(content);
  for (const tool of asList(request.tools)) {
    for (const value of asList(member(asObject(tool), 'functionDeclarations')))
      yield { kind: 'definition', value };
  }
  const config = asObject(member(request, 'generationConfig'));
  for (const name of ['responseSchema', 'responseJsonSchema', 'responseFormat']) {
    const value = member(config, name);
    if (value !== undefined && value !== null) yield { kind: 'schema', value };
  }
}

function* contentPieces(content: unknown): Generator<PromptPiece, void, undefined> {
  const parts = asList(asObject(content)?.parts);
  if (parts.length > 0) yield { kind: 'turn' };
  for (const entry of parts) yield* partPieces(asObject(entry));
}

function* partPieces(part: JsonObject | null): Generator<PromptPiece, void, undefined> {
  if (part === null) return;
  const signature = asText(member(part, 'thoughtSignature'));
  if (signature !== null) yield { kind: 'signature', length: signature.length };
  for (const [name, value] of Object.entries(part)) {
    if (partSettings.has(name)) continue;
    if (name === 'text') {
      if (typeof value === 'string') yield { kind: 'text', text: value };
    } else if (name === 'functionResponse' || name === 'function_response')
      yield* responsePieces(asObject(value));
    else yield mediaPiece(name, asObject(value)) ?? { kind: 'value', value };
  }
}

/** What a function answered, which may have pictures and sounds beside its JSON. */
function* responsePieces(response: JsonObject | null): Generator<PromptPiece, void, undefined> {
  const { parts, ...value } = response ?? {};
  yield { kind: 'value', value };
  for (const part of asList(parts)) {
    for (const [name, inner] of Object.entries(asObject(part) ?? {})) {
      const media = mediaPiece(name, asObject(inner));
      if (media !== null) yield media;
    }
  }
}

const mediaMembers: ReadonlySet<string> = new Set(['inlineData', 'inline_data', 'fileData', 'file_data']);

function mediaPiece(name: string, media: JsonObject | null): PromptPiece | null {
  if (media === null || !mediaMembers.has(name)) return null;
  const mimeType = asText(member(media, 'mimeType'))?.toLowerCase() ?? '';
  const data = asText(media.data);
  const uri = asText(member(media, 'fileUri'));
  if (data !== null && mimeType.startsWith('text/')) {
    return { kind: 'text', text: Buffer.from(data, 'base64').toString('utf8') };
  }
  const source = data !== null ? { base64: data } : uri === null ? null : { reference: uri };
  return { kind: 'media', mimeType, source };
}
