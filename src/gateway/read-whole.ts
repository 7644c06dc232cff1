import type { HeldBytes } from '../domain/byte-budget.ts';
import { GatheredBytes } from '../domain/gathered-bytes.ts';

export interface WholeLimits {
  readonly maxBytes: number;
  /** What is read counts as held until this lets go. */
  readonly held: HeldBytes;
}

/** Why a whole answer was not read to its end. */
export type NotWhole =
  | 'too_large'
  /** Too much is held of other answers. */
  | 'no_room';

/** A whole body, or why not. */
export async function readWhole(
  body: AsyncIterable<Buffer>,
  { maxBytes, held }: WholeLimits,
): Promise<Buffer | NotWhole> {
  const gathered = new GatheredBytes(maxBytes);
  for await (const chunk of body) {
    if (gathered.length + chunk.length > maxBytes) return 'too_large';
    if (!held.take(chunk.length)) return 'no_room';
    gathered.add(chunk);
  }
  return gathered.takeAll();
}
