/** Where a member's value stands in the bytes of its object. */
export interface ValueSpan {
  readonly start: number;
  readonly end: number;
}

/** Top-level members of a JSON object, found in its bytes. */
export interface ObjectMembers {
  readonly kind: 'members';
  readonly spans: ReadonlyMap<string, ValueSpan>;
  /** Behind the last member, where another one can be put. */
  readonly insertAt: number;
  readonly isEmpty: boolean;
}

/** A watched member that two parsers may read differently. */
export interface AmbiguousMember {
  readonly kind: 'ambiguous';
  /** As the object spells it, without escapes. */
  readonly name: string;
  readonly watchedName: string;
}

const quote = 0x22;
const comma = 0x2c;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Strings up to this length are scanned by hand: calling `indexOf` costs more than so many bytes. */
const shortString = 48;

/** Each character of a name may be written as `\uXXXX`. */
const longestEscape = 6;

/**
 * Finds the watched members of a JSON object without building it.
 *
 * A watched member that occurs twice is ambiguous: most parsers take the last one, some the first. So
 * is one in other letter case, because Go's decoder takes `Model` for `model`: a request could be
 * priced as one model here and served as another there.
 * @param bytes valid JSON whose value is an object: parse it first
 */
export function findMembers(bytes: Buffer, watched: ReadonlySet<string>): ObjectMembers | AmbiguousMember {
  const longestName = longestEscape * Math.max(...[...watched].map((name) => name.length));
  const spans = new Map<string, ValueSpan>();
  const open = skipSpace(bytes, 0);
  let insertAt = open + 1;
  let at = skipSpace(bytes, open + 1);
  const isEmpty = bytes[at] === closeBrace;
  while (at < bytes.length && bytes[at] !== closeBrace) {
    const nameEnd = stringEnd(bytes, at + 1);
    const start = skipSpace(bytes, skipSpace(bytes, nameEnd + 1) + 1);
    const end = valueEnd(bytes, start);
    const name = nameEnd - at - 1 > longestName ? null : watchedMember(readName(bytes, at, nameEnd), watched);
    if (name !== null) {
      if (name.spelling !== name.watched || spans.has(name.watched)) {
        return { kind: 'ambiguous', name: name.spelling, watchedName: name.watched };
      }
      spans.set(name.watched, { start, end });
    }
    insertAt = end;
    at = skipSpace(bytes, end);
    if (bytes[at] === comma) at = skipSpace(bytes, at + 1);
  }
  return { kind: 'members', spans, insertAt, isEmpty };
}

/**
 * Replaces the values of members, or adds the members at the end; every other byte stays as it was.
 * @param changes new values by member name, as JSON text
 * @returns `bytes` itself where nothing changes
 */
export function spliceMembers(
  bytes: Buffer,
  members: ObjectMembers,
  changes: ReadonlyMap<string, Buffer | string>,
): Buffer {
  if (changes.size === 0) return bytes;
  const edits: { readonly span: ValueSpan; readonly value: Buffer }[] = [];
  let added = '';
  for (const [name, value] of changes) {
    const span = members.spans.get(name);
    if (span !== undefined) edits.push({ span, value: Buffer.from(value) });
    else added += `${members.isEmpty && added === '' ? '' : ','}${JSON.stringify(name)}:${value.toString()}`;
  }
  if (added !== '') {
    edits.push({ span: { start: members.insertAt, end: members.insertAt }, value: Buffer.from(added) });
  }
  edits.sort((a, b) => a.span.start - b.span.start);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const { span, value } of edits) {
    pieces.push(bytes.subarray(from, span.start), value);
    from = span.end;
  }
  pieces.push(bytes.subarray(from));
  return joinedApart(pieces);
}

/** In memory of its own: it is held for as long as its answer takes, and with it all that small buffers share would be. */
function joinedApart(pieces: readonly Buffer[]): Buffer {
  const joined = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) at += piece.copy(joined, at);
  return joined;
}

interface WatchedName {
  readonly spelling: string;
  readonly watched: string;
}

function watchedMember(name: string, watched: ReadonlySet<string>): WatchedName | null {
  if (watched.has(name)) return { spelling: name, watched: name };
  // Through upper case, so that the long s and the Kelvin sign fold as Go folds them.
  const folded = name.toUpperCase().toLowerCase();
  return watched.has(folded) ? { spelling: name, watched: folded } : null;
}

function readName(bytes: Buffer, nameStart: number, nameEnd: number): string {
  const text = bytes.toString('utf8', nameStart + 1, nameEnd);
  if (!text.includes('\\')) return text;
  const name: unknown = JSON.parse(`"${text}"`);
  return typeof name === 'string' ? name : text;
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return at;
}

/** The closing quote of the string whose content starts at `from`. */
function stringEnd(bytes: Buffer, from: number): number {
  let at = from;
  for (const limit = from + shortString; at < limit && at < bytes.length; at++) {
    if (bytes[at] === quote) return at;
    if (bytes[at] === backslash) at++;
  }
  for (let end = bytes.indexOf(quote, at); end !== -1; end = bytes.indexOf(quote, end + 1)) {
    let escapes = 0;
    while (end - 1 - escapes >= at && bytes[end - 1 - escapes] === backslash) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return bytes.length;
}

/** Behind the value that starts at `from`. */
function valueEnd(bytes: Buffer, from: number): number {
  const first = bytes[from];
  if (first === quote) return stringEnd(bytes, from + 1) + 1;
  return first === openBrace || first === openBracket ? containerEnd(bytes, from) : scalarEnd(bytes, from);
}

function containerEnd(bytes: Buffer, from: number): number {
  let depth = 0;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) at = stringEnd(bytes, at + 1);
    else if (byte === openBrace || byte === openBracket) depth++;
    else if (byte === closeBrace || byte === closeBracket) depth--;
    if (depth === 0) return at + 1;
  }
  return bytes.length;
}

function scalarEnd(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== comma && bytes[at] !== closeBrace && skipSpace(bytes, at) === at)
    at++;
  return at;
}
