import type { Countable } from '../../tokenizer/tokenizer.ts';
import { type JsonObject, jsonText } from '../json.ts';
import { promptPieces } from './prompt-pieces.ts';

/** The least that Gemini counts for a picture or a page: one of 384 × 384 pixels (ai.google.dev, "Understand and count tokens"). */
const leastMediaTokens = 258;

/**
 * The prompt as far as it can be counted from here: its texts, and of pictures, sounds and films only what
 * the smallest of them has. Schemas for the answer are left out, as Gemini's count does from 2.5 on.
 */
export function countablePrompt(request: JsonObject): Countable {
  const texts: string[] = [];
  let overhead = 0;
  let hasMore = false;
  for (const piece of promptPieces(request)) {
    if (piece.kind === 'text') texts.push(piece.text);
    else if (piece.kind === 'value' || piece.kind === 'definition') texts.push(jsonText(piece.value));
    else if (piece.kind === 'media') {
      hasMore = true;
      if (piece.mimeType.startsWith('image/')) overhead += leastMediaTokens;
    }
  }
  return { texts: texts.filter((text) => text !== ''), overhead, ...(hasMore ? { hasMore } : {}) };
}
