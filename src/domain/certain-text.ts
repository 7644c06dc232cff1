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

/** A text that was broken off, without its last piece: that may be split into tokens otherwise if the text goes on. */
export function certainText(text: string): string {
  return text === '' ? text : text.slice(0, lastPieceStart(text));
}
