import { tokensOfImage } from './image-estimate.ts';
import { byteLength, mp4Seconds, pdfPages, pixelSize, wavByteRate } from './media-headers.ts';

/** Bounds for the parts of a prompt that aren't text: by a published formula where there is one. */

/** A part's content: base64 text, or a reference that only the provider can follow. */
export type MediaSource = { readonly base64: string } | { readonly reference: string };

export interface ImagePart {
  readonly source: MediaSource | null;
  /** OpenAI's `detail`: low, high, auto, original; null where the client named none. */
  readonly detail: string | null;
}

/** What an address begins with, which base64 can't: it has no colon. */
const scheme = /^\s{0,8}[a-z][a-z\d+.-]{0,31}:/i;

/** `data:image/png;base64,…` holds the bytes, any other address is for the provider to follow, and the rest is base64. */
export function mediaSource(value: unknown): MediaSource | null {
  if (typeof value !== 'string') return null;
  if (!scheme.test(value)) return { base64: value };
  const comma = /^\s{0,8}data:/i.test(value) ? value.indexOf(',') : -1;
  return comma === -1 ? { reference: value } : { base64: value.slice(comma + 1) };
}

function base64Of(source: MediaSource | null): string | null {
  return source !== null && 'base64' in source ? source.base64 : null;
}

/** At most how many tokens a model counts for an image: by its size and the model's way of cutting it up, never by its bytes. */
export function imageTokens(model: string, { source, detail }: ImagePart): number {
  const base64 = base64Of(source);
  return tokensOfImage(model, base64 === null ? null : pixelSize(base64), detail);
}

/** Gemini hears 32 tokens a second, Qwen 25, Voxtral 12.5, OpenAI 10. */
const audioTokensPerSecond = 32;
/** 8 bits at 8 kHz, as telephones have it; samples without a header have at least 16. */
const leastWavBytesPerSecond = 8_000;
const leastSampleBytesPerSecond = 16_000;
/** Four channels of 24 bits at 192 kHz: a header that claims more would make hours look like seconds. */
const mostWavBytesPerSecond = 2_304_000;
/** Codecs for speech go below 16 kbit/s, the others hardly below 32. */
const leastSpeechBytesPerSecond = 1_500;
const leastMusicBytesPerSecond = 4_000;

/** Five minutes: a reference doesn't say how long the recording is. */
const assumedAudioTokens = 5 * 60 * audioTokensPerSecond;

function audioBytesPerSecond(base64: string, format: string): number {
  const stated = wavByteRate(base64);
  if (stated !== null) return Math.min(stated, mostWavBytesPerSecond);
  if (/wav/i.test(format)) return leastWavBytesPerSecond;
  if (/pcm|l16/i.test(format)) return leastSampleBytesPerSecond;
  return /opus|ogg|webm|amr|speex/i.test(format) ? leastSpeechBytesPerSecond : leastMusicBytesPerSecond;
}

/** @param format for instance "wav", "mp3" or a MIME type */
export function audioTokens(source: MediaSource | null, format: string): number {
  const base64 = base64Of(source);
  if (base64 === null) return assumedAudioTokens;
  return Math.ceil((byteLength(base64) / audioBytesPerSecond(base64, format)) * audioTokensPerSecond);
}

/** Anthropic counts up to 3,000 tokens of text a page and an image of it; OpenAI does alike, Gemini less. */
const tokensPerPage = 4_600;
/** Where the number of pages isn't seen: dense text has fewer bytes a token, pictures have many more. */
const fileBytesPerToken = 4;
const leastFileTokens = 5_000;
const mostFileTokens = 128_000;

/** A document: its text, and with some models an image of each page. */
export function fileTokens(source: MediaSource | null): number {
  const base64 = base64Of(source);
  if (base64 === null) return mostFileTokens / 4;
  const pages = pdfPages(base64);
  const tokens = pages === null ? byteLength(base64) / fileBytesPerToken : pages * tokensPerPage;
  return Math.ceil(Math.min(mostFileTokens, Math.max(leastFileTokens, tokens)));
}

/** Gemini sees a picture a second, of 258 tokens, and hears 32 (ai.google.dev, "Video understanding"). */
const videoTokensPerSecond = 300;
/** 160 kbit/s is a poor picture; 20 Mbit/s a good one, which a header can't make shorter. */
const leastVideoBytesPerSecond = 20_000;
const mostVideoBytesPerSecond = 2_500_000;
/** Two minutes: what is known of a link is that it is one. */
const assumedVideoTokens = 40_000;
/** An hour, which is what a context of a million tokens holds. */
const mostVideoTokens = 1_080_000;

export function videoTokens(source: MediaSource | null): number {
  const base64 = base64Of(source);
  if (base64 === null) return assumedVideoTokens;
  const bytes = byteLength(base64);
  const stated = mp4Seconds(base64);
  const seconds =
    stated === null ? bytes / leastVideoBytesPerSecond : Math.max(stated, bytes / mostVideoBytesPerSecond);
  return Math.ceil(Math.min(mostVideoTokens, seconds * videoTokensPerSecond));
}
