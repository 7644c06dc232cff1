import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { audioTokens, fileTokens, imageTokens, mediaSource, videoTokens } from '../media-estimate.ts';

type Bound = (part: JsonObject, model: string) => number;

/** Some providers take an address as a text, others inside an object, and some take both. */
function addressOf(value: unknown): unknown {
  return asObject(value)?.url ?? value;
}

/** The MIME type that a data URL begins with; empty for everything else. */
function mimeTypeOf(value: unknown): string {
  return typeof value === 'string' ? (/^data:([^;,]{0,100})[;,]/i.exec(value)?.[1] ?? '').toLowerCase() : '';
}

function image({ image_url: value }: JsonObject, model: string): number {
  const source = mediaSource(addressOf(value));
  return imageTokens(model, { source, detail: asText(asObject(value)?.detail) });
}

/** Base64 or an address, by itself or in `data` beside its format. */
function inputAudio({ input_audio: value }: JsonObject): number {
  const { data, url, format } = asObject(value) ?? { data: value };
  const given = data ?? url;
  return audioTokens(mediaSource(given), asText(format) ?? mimeTypeOf(given));
}

function linkedAudio({ audio_url: value }: JsonObject): number {
  const address = addressOf(value);
  return audioTokens(mediaSource(address), mimeTypeOf(address));
}

/** A file may be a recording or a picture, too, where its type says so: `format` is LiteLLM's name for it. */
function file({ file: value }: JsonObject, model: string): number {
  const { file_data: data, format } = asObject(value) ?? {};
  const source = mediaSource(data);
  const type = mimeTypeOf(data) || (asText(format) ?? '').toLowerCase();
  if (type.startsWith('video/')) return videoTokens(source);
  if (type.startsWith('audio/')) return audioTokens(source, type);
  if (type.startsWith('image/')) return imageTokens(model, { source, detail: null });
  return fileTokens(source);
}

/** Qwen takes a film, or a list of its pictures. */
function video({ video: value }: JsonObject, model: string): number {
  const frames = asArray(value);
  if (frames === null) return videoTokens(mediaSource(addressOf(value)));
  return frames.reduce<number>(
    (sum, frame) => sum + imageTokens(model, { source: mediaSource(addressOf(frame)), detail: null }),
    0,
  );
}

/** By the type of the part, which is the name of the member that holds it, too. */
const bounds: ReadonlyMap<string, Bound> = new Map<string, Bound>([
  ['image_url', image],
  ['input_audio', inputAudio],
  ['audio_url', linkedAudio],
  ['file', file],
  ['document_url', ({ document_url: value }) => fileTokens(mediaSource(addressOf(value)))],
  ['video_url', ({ video_url: value }) => videoTokens(mediaSource(addressOf(value)))],
  ['video', video],
]);

/** At most how many tokens a part of a message comes to that isn't text; null where it may be text. */
export function mediaPartTokens(part: JsonObject, model: string): number | null {
  // vLLM takes a part without a type for what its member says.
  const kind = part.type ?? Object.keys(part).find((name) => bounds.has(name));
  return bounds.get(String(kind))?.(part, model) ?? null;
}
