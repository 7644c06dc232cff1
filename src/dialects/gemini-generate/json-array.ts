/** Far above any real chunk, with a generated picture in it; a provider that never ends one must not fill the memory. */
export const defaultMaxElementBytes = 16 * 1024 * 1024;

/** An element grew beyond the limit without ending. The stream can't be followed any further. */
export class JsonElementTooLargeError extends Error {
  override readonly name = 'JsonElementTooLargeError';

  constructor(maxElementBytes: number) {
    super(`An element of a JSON array is longer than ${maxElementBytes} bytes`);
  }
}

/** An element as it came, with what stands before it. */
export interface ArrayElement {
  readonly raw: Buffer;
  /** Its JSON text, by itself. */
  readonly json: string;
}

const lf = 0x0a;
const cr = 0x0d;
const tab = 0x09;
const space = 0x20;
const quote = 0x22;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
/** EF BB BF before the first character of a text. */
const byteOrderMark: ReadonlySet<number | undefined> = new Set([0xef, 0xbb, 0xbf]);
const whitespace: ReadonlySet<number | undefined> = new Set([lf, cr, tab, space]);

/** Depth of the array's own elements, before one of them opens. */
const elementDepth = 1;

/** Bytes that wait for more: a buffer that doubles, so that each is copied twice at most. */
class PendingBytes {
  #buffer = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#buffer.length) {
      // Its own memory: a small piece of the pool that all share would keep the whole of it.
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    bytes.copy(this.#buffer, this.#length);
    this.#length = needed;
  }

  /** All of them with `last` behind them; nothing waits any more, and no large buffer is kept for small elements. */
  takeWith(last: Buffer): Buffer {
    if (this.#length === 0) return last;
    const all = Buffer.concat([this.#buffer.subarray(0, this.#length), last]);
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
    return all;
  }
}

/**
 * Cuts a JSON array that comes in pieces into its elements: objects and arrays; what else stands among them
 * goes along with the next one. Every byte pushed is in exactly one element's `raw`, or in what `end`
 * returns. Each byte is looked at once, however the stream is cut; strings may be cut inside an escape or a
 * character, since no byte of a longer character is a quote or a bracket.
 */
export class JsonArrayFramer {
  readonly #maxElementBytes: number;
  readonly #pending = new PendingBytes();
  #state: 'before' | 'inside' | 'behind' | 'not_an_array' = 'before';
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** Where the element at hand starts, counted from the first pending byte. */
  #elementStart = 0;

  constructor(options: { readonly maxElementBytes?: number } = {}) {
    this.#maxElementBytes = options.maxElementBytes ?? defaultMaxElementBytes;
  }

  /** Whether the array's closing bracket was seen. */
  get isClosed(): boolean {
    return this.#state === 'behind';
  }

  /** Whether it is one JSON value, or no JSON at all: then it is all returned at the end. */
  get isNoArray(): boolean {
    return this.#state === 'not_an_array';
  }

  /**
   * The elements that end in this chunk. Their `raw` may share the chunk's memory.
   * @throws JsonElementTooLargeError when what waits was beyond the limit before this chunk came
   */
  push(chunk: Buffer): ArrayElement[] {
    if (this.#pending.length > this.#maxElementBytes) {
      throw new JsonElementTooLargeError(this.#maxElementBytes);
    }
    const elements: ArrayElement[] = [];
    let from = this.#state === 'before' ? this.#open(chunk) : 0;
    let pieceStart = 0;
    while (this.#state === 'inside' && from < chunk.length) {
      const end = this.#scan(chunk, from, pieceStart);
      if (end === -1) break;
      const raw = this.#pending.takeWith(chunk.subarray(pieceStart, end));
      elements.push({ raw, json: raw.toString('utf8', this.#elementStart) });
      from = end;
      pieceStart = end;
    }
    this.#pending.add(chunk.subarray(pieceStart));
    return elements;
  }

  /** What is left when the stream ends: the closing bracket and what is around it, or an element without its end. */
  end(): Buffer {
    return this.#pending.takeWith(Buffer.alloc(0));
  }

  /** @returns behind the opening bracket */
  #open(chunk: Buffer): number {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (whitespace.has(byte) || byteOrderMark.has(byte)) continue;
      this.#state = byte === openBracket ? 'inside' : 'not_an_array';
      this.#depth = elementDepth;
      return at + 1;
    }
    return chunk.length;
  }

  /** @returns behind the next element that ends in this chunk; -1 where none does */
  #scan(chunk: Buffer, from: number, pieceStart: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at];
      if (this.#isInString) this.#scanString(byte);
      else if (byte === quote) this.#isInString = true;
      else if (byte === openBrace || byte === openBracket) {
        if (this.#depth === elementDepth) this.#elementStart = this.#pending.length + at - pieceStart;
        this.#depth++;
      } else if (byte === closeBrace || byte === closeBracket) {
        this.#depth--;
        if (this.#depth === elementDepth) return at + 1;
        if (this.#depth < elementDepth) {
          this.#state = 'behind';
          return -1;
        }
      }
    }
    return -1;
  }

  #scanString(byte: number | undefined): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === backslash) this.#isEscaped = true;
    else if (byte === quote) this.#isInString = false;
  }
}
