import type { JsonObject } from '../json.ts';
import { audioTokens, fileTokens, imageTokens, videoTokens } from '../media-estimate.ts';
import { TextEstimate } from '../text-estimate.ts';
import { addValue, templateTokens } from '../value-estimate.ts';
import { type PromptPiece, promptPieces } from './prompt-pieces.ts';

/** Roles and separators: recorded prompts show none of them, and this is for models that do. */
const tokensPerTurn = 2;
/** Base64 of encrypted thoughts. Recorded prompts grow by a token for seven characters of it at most. */
const charactersPerSignatureToken = 6;

/** Gemini 2.0 counts a schema for the answer with a sixth of what its JSON comes to; later models don't count it. */
const schemaShare = 0.25;

type Media = Extract<PromptPiece, { readonly kind: 'media' }>;

/** Only the link says that it is a film: no MIME type has to stand beside it. */
const videoLink = /^https?:\/\/([\w-]+\.)*(youtube\.com|youtu\.be)\//i;

function mediaTokens({ mimeType, source }: Media, model: string): number {
  const isLinkedVideo = source !== null && 'reference' in source && videoLink.test(source.reference);
  if (mimeType.startsWith('video/') || isLinkedVideo) return videoTokens(source);
  if (mimeType.startsWith('image/')) return imageTokens(model, { source, detail: null });
  if (mimeType.startsWith('audio/')) return audioTokens(source, mimeType);
  return fileTokens(source);
}

function addPiece(estimate: TextEstimate, piece: PromptPiece, model: string): void {
  if (piece.kind === 'text') estimate.add(piece.text);
  else if (piece.kind === 'media') estimate.addTokens(mediaTokens(piece, model));
  else if (piece.kind === 'signature') estimate.addTokens(piece.length / charactersPerSignatureToken);
  else if (piece.kind === 'turn') estimate.addTokens(tokensPerTurn);
  else if (piece.kind === 'schema') estimate.addTokens(schemaTokens(piece.value));
  else addValue(estimate, piece.value);
}

function schemaTokens(schema: unknown): number {
  const estimate = new TextEstimate();
  addValue(estimate, schema);
  return estimate.total() * schemaShare;
}

/**
 * At most how many tokens the prompt of a request has, but for what Google fetches into it: results of a
 * search and pages that the model reads (`fetching-tools.ts`), and content that was cached before, which
 * goes by its name.
 */
export function estimateInputTokens(request: JsonObject, model: string): number {
  const estimate = new TextEstimate();
  let definesFunctions = false;
  for (const piece of promptPieces(request)) {
    if (piece.kind === 'definition') definesFunctions = true;
    addPiece(estimate, piece, model);
  }
  estimate.addTokens(templateTokens(model, definesFunctions));
  return estimate.total();
}
