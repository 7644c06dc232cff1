import { createHash } from 'node:crypto';

/** The next of a sequence of unsigned 32-bit numbers. */
export type Random = () => number;

/** What a draw is for: each purpose has a sequence of its own, so that one more draw for one changes no other. */
export type Purpose = 'ids' | 'requestId' | 'lengths' | 'faults' | 'text' | 'reasoning' | 'values';

/** The source of every draw for one answer. */
export interface Draws {
  /** @param index tells the choices of one request apart */
  sequence(purpose: Purpose, index?: number): Random;
}

/** Where in the digest each purpose's seed stands, in words of 32 bits; SHA-256 has eight. */
const purposes: Record<Purpose, number> = {
  ids: 0,
  lengths: 1,
  faults: 2,
  text: 3,
  reasoning: 4,
  values: 5,
  requestId: 6,
};

/** Draws that depend on nothing but the simulator's seed and the bytes that say what is asked for. */
export function drawsFor(seed: string, asked: Buffer): Draws {
  const digest = createHash('sha256').update(seed).update('\0').update(asked).digest();
  return {
    sequence: (purpose, index = 0) =>
      mulberry32(digest.readUInt32LE(4 * purposes[purpose]) ^ Math.imul(index, 0x9e3779b1)),
  };
}

/** Tommy Ettinger's mulberry32: four bytes of state, and good enough for text that nobody reads. */
export function mulberry32(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** A whole number from 0 up to, and without, `bound`. */
export function below(random: Random, bound: number): number {
  return Math.floor((random() / 2 ** 32) * bound);
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Letters and digits, as OpenAI's ids have them. */
export function randomId(random: Random, length: number): string {
  let id = '';
  while (id.length < length) id += alphabet.charAt(below(random, alphabet.length));
  return id;
}
