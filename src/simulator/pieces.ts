import { isUtf8 } from 'node:buffer';
import vocabulary from 'gpt-tokenizer/bpeRanks/o200k_base';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { below, mulberry32, type Random } from './random.ts';
import {
  comma,
  firstOpenings,
  fullStop,
  laterOpenings,
  type Piece,
  pieceOf,
  smile,
  words,
} from './vocabulary.ts';

/** A text in pieces, which may be walked any number of times. */
export interface Pieces extends Iterable<Piece> {
  readonly tokens: number;
}

export const noPieces: Pieces = { tokens: 0, *[Symbol.iterator]() {} };

/**
 * Sentences of exactly `tokens` tokens. They are made while they are walked: a stream of a million
 * tokens costs no more memory than one of ten, and costs nothing once its client has left.
 */
export function sentences(seed: number, tokens: number): Pieces {
  return {
    tokens,
    *[Symbol.iterator]() {
      const random = mulberry32(seed);
      let left = 0;
      for (let remaining = tokens; remaining > 0; remaining--) {
        if (left === 0) {
          left = 6 + below(random, 9);
          yield pick(random(), remaining === tokens ? firstOpenings : laterOpenings);
        } else {
          yield withinSentence(random, Math.min(left, remaining), left);
        }
        left -= 1;
      }
    },
  };
}

/** @param toGo pieces until the sentence or the text ends; a comma never stands before the last one */
function withinSentence(random: Random, toGo: number, left: number): Piece {
  const draw = random();
  if (toGo === 1) return draw % 16 === 0 ? smile : fullStop;
  const isPause = toGo > 2 && left % 5 === 0 && random() % 3 === 0;
  return isPause ? comma : pick(draw, words);
}

function pick(draw: number, from: readonly Piece[]): Piece {
  return from[draw % from.length] ?? fullStop;
}

/**
 * A text that exists already, token by token. The vocabulary's own bytes are taken: the package's
 * decoder keeps the beginning of a character that a token ends within, and puts it before whatever
 * is decoded next.
 */
export function encoded(text: string): Pieces {
  const pieces: Piece[] = [];
  let open: Buffer = Buffer.alloc(0);
  let openTokens = 0;
  for (const token of encode(text, { disallowedSpecial: new Set() })) {
    open = Buffer.concat([open, Buffer.from(vocabulary[token] ?? '')]);
    openTokens += 1;
    if (!isUtf8(open)) continue;
    pieces.push(pieceOf(open.toString('utf8'), openTokens));
    open = Buffer.alloc(0);
    openTokens = 0;
  }
  return ofArray(pieces);
}

/** The beginning of a text, of `limit` tokens at most. */
export function beginning(pieces: Pieces, limit: number): Pieces {
  if (pieces.tokens <= limit) return pieces;
  const kept: Piece[] = [];
  let tokens = 0;
  for (const piece of pieces) {
    if (tokens + piece.tokens > limit) break;
    tokens += piece.tokens;
    kept.push(piece);
  }
  return ofArray(kept);
}

export function textOf(pieces: Pieces): string {
  let text = '';
  for (const piece of pieces) text += piece.text;
  return text;
}

/** Text for one event each, of `size` tokens or, at the end and around cut characters, a few less or more. */
export function* grouped(pieces: Pieces, size: number): Generator<Omit<Piece, 'text'>> {
  if (size === 1) return yield* pieces;
  let json = '';
  let tokens = 0;
  for (const piece of pieces) {
    json += piece.json;
    tokens += piece.tokens;
    if (tokens < size) continue;
    yield { json, tokens };
    json = '';
    tokens = 0;
  }
  if (tokens > 0) yield { json, tokens };
}

function ofArray(pieces: readonly Piece[]): Pieces {
  return {
    tokens: pieces.reduce((sum, piece) => sum + piece.tokens, 0),
    [Symbol.iterator]: () => pieces[Symbol.iterator](),
  };
}
