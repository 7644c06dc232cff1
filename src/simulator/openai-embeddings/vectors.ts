import { createHash } from 'node:crypto';
import type { Item } from '../openai/items.ts';
import { mulberry32 } from '../random.ts';

/** Of `text-embedding-3-small`. */
export const defaultDimensions = 1536;

/** A vector of length 1, drawn from the item alone: the same text has the same one wherever it stands. */
export function vectorOf(item: Item, dimensions: number): Float32Array {
  const digest = createHash('sha256')
    .update(typeof item === 'string' ? item : item.join(' '))
    .digest();
  const random = mulberry32(digest.readUInt32LE(0));
  const drawn = Array.from({ length: dimensions }, () => random() / 2 ** 31 - 1);
  const length = Math.hypot(...drawn) || 1;
  return Float32Array.from(drawn, (value) => value / length);
}

/** As OpenAI sends them for `base64`: four bytes each, the lowest first. */
export function base64Of(vector: Float32Array): string {
  const bytes = Buffer.alloc(4 * vector.length);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, 4 * at);
  return bytes.toString('base64');
}
