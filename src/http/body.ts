import type { Readable } from 'node:stream';

/** Of a body that is too large, so much more is taken and thrown away before the connection is cut. */
const discardFactor = 8;

export interface TooLarge {
  readonly kind: 'too_large';
}

/**
 * A whole body, or that it is larger than `limit` bytes. A client that is still sending doesn't read: if
 * it were answered and cut at once, it would see a broken connection instead of the reason.
 * @throws Error when the connection breaks before the body's end
 */
export async function readBody(payload: Readable, limit: number): Promise<Buffer | TooLarge> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of payload as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else chunks.length = 0;
    if (length > limit * discardFactor) break;
  }
  return length > limit ? { kind: 'too_large' } : Buffer.concat(chunks, length);
}
