import type { Countable } from './tokenizer.ts';

/** How the splitting rules of the encodings tell characters apart, in as far as it matters here. */
const kinds = [
  { name: 'letters', pattern: /[\p{L}\p{M}]/u },
  { name: 'digits', pattern: /\p{N}/u },
  { name: 'blanks', pattern: /\s/u },
] as const;
type Kind = (typeof kinds)[number]['name'] | 'signs';

/** Further back nothing is looked for: a text without any border, such as a language without spaces, is cut there. */
const furthestBack = 64;

function kindAt(text: string, index: number): Kind {
  const character = text[index] ?? '';
  return kinds.find(({ pattern }) => pattern.test(character))?.name ?? 'signs';
}

/** Where the run of one kind begins that ends at `end`. */
function runStart(text: string, end: number, kind: Kind, least: number): number {
  let start = end;
  while (start > least && kindAt(text, start - 1) === kind) start--;
  return start;
}

/**
 * Where the last piece begins that the splitting rules would keep together: letters with the blank or sign
 * before them, signs with the blank before and the line ends behind them.
 */
function lastPieceStart(text: string): number {
  const least = Math.max(0, text.length - furthestBack);
  const kind = kindAt(text, text.length - 1);
  let start = runStart(text, text.length, kind, least);
  if (start === least) return start;
  const before = kindAt(text, start - 1);
  if (before === 'signs' && kind !== 'digits') start = runStart(text, start, 'signs', least);
  if (kind !== 'digits' && start > least && text[start - 1] === ' ') start--;
  return start;
}

/**
 * What of a text that was broken off is certain to be counted however it would have gone on. The last piece
 * may be more tokens now than when it would have been complete ("unbeliev" is three, "unbelievable" two), so it
 * counts as one: a longer text is then never fewer tokens than a shorter one, and never more than the whole.
 * What the wire format adds is left out, since some of it may have been generated only at the end.
 */
export function certainPart({ texts }: Countable): Countable {
  let begun = 0;
  const certain = texts.map((text) => {
    if (text === '') return text;
    begun++;
    return text.slice(0, lastPieceStart(text));
  });
  return { texts: certain, overhead: begun };
}
