import { asText } from './json.ts';

/** The pieces of one text, in the order in which they came. Tokens cross the borders between pieces. */
export type Pieces = string[];

/**
 * Joins the pieces for good: a stream is read at each of its events. Adding a piece to a text copies
 * neither, where `join` would copy all of the text each time.
 */
export function joined(pieces: Pieces): string {
  if (pieces.length > 1)
    pieces.splice(
      0,
      pieces.length,
      pieces.reduce((text, piece) => text + piece),
    );
  return pieces[0] ?? '';
}

/** @returns whether the value was a text, and not an empty one */
export function addText(pieces: Pieces, value: unknown): boolean {
  const text = asText(value);
  if (text !== null) pieces.push(text);
  return text !== null;
}

/** Adds to the text of this name, or begins it. */
export function addPiece<Name>(texts: Map<Name, Pieces>, name: Name, piece: string): void {
  const pieces = texts.get(name);
  if (pieces === undefined) texts.set(name, [piece]);
  else pieces.push(piece);
}
