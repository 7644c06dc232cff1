import type { SseEvent } from './dialect.ts';

/** Far above any real event; a provider that never ends one must not fill the memory. */
export const defaultMaxEventBytes = 16 * 1024 * 1024;

/** An event grew beyond the limit without ending. The stream can't be followed any further. */
export class SseEventTooLargeError extends Error {
  override readonly name = 'SseEventTooLargeError';

  constructor(maxEventBytes: number) {
    super(`A server-sent event is longer than ${maxEventBytes} bytes`);
  }
}

const lf = 0x0a;
const cr = 0x0d;

/** A buffer that one large event made necessary is not kept for the small ones after it. */
const keptBufferBytes = 64 * 1024;

/**
 * Cuts a stream of bytes into server-sent events (WHATWG HTML, section 9.2). Lines end with LF, CR
 * or CRLF in any mixture; a blank line ends the event. Every byte pushed is in the `raw` of exactly
 * one event, in order, the one that `end` returns included.
 *
 * Each byte is looked at once, however the stream is cut: the rest of a chunk is copied into a buffer
 * that doubles, and scanning goes on behind it.
 */
export class SseFramer {
  readonly #maxEventBytes: number;
  /** The start of an event that hasn't ended: the first `#pendingBytes` of the buffer. */
  #pending = Buffer.alloc(0);
  #pendingBytes = 0;
  /** Where in the chunk at hand the unfinished event starts. */
  #eventStart = 0;
  #lineIsEmpty = true;
  /** The last byte was a CR: the next one says whether it was half of a CRLF. */
  #crIsOpen = false;
  /** The line before was ended by a CR alone, so another CR alone is the whole of a blank line. */
  #endsLinesWithCr = false;
  /** A CR was taken as a whole line end, so an LF right behind it ends nothing. */
  #skipsLf = false;
  #isFirstEvent = true;

  constructor(options: { readonly maxEventBytes?: number } = {}) {
    this.#maxEventBytes = options.maxEventBytes ?? defaultMaxEventBytes;
  }

  /**
   * The events that end in this chunk. Their `raw` may share the chunk's memory.
   * @throws SseEventTooLargeError when the unfinished event was beyond the limit before this chunk
   * came, so that no finished event is lost; never more than the limit and one chunk is held
   */
  push(chunk: Buffer): SseEvent[] {
    if (this.#pendingBytes > this.#maxEventBytes) throw new SseEventTooLargeError(this.#maxEventBytes);
    const events: SseEvent[] = [];
    this.#eventStart = 0;
    if (this.#crIsOpen || this.#skipsLf || chunk.includes(cr)) this.#scanMixed(chunk, events);
    else this.#scanLf(chunk, events);
    if (this.#eventStart < chunk.length) this.#keep(chunk.subarray(this.#eventStart));
    return events;
  }

  /** What is left when the stream ends: an event without its blank line, or bytes that hold no field. */
  end(): SseEvent | null {
    if (this.#pendingBytes === 0) return null;
    const raw = this.#complete(Buffer.alloc(0));
    this.#lineIsEmpty = true;
    this.#crIsOpen = false;
    return this.#parse(raw);
  }

  /** The common case: no CR anywhere, so the bytes between line ends needn't be looked at one by one. */
  #scanLf(chunk: Buffer, events: SseEvent[]): void {
    let lineStart = 0;
    let lines = 0;
    for (let at = chunk.indexOf(lf); at !== -1; at = chunk.indexOf(lf, lineStart)) {
      if (at > lineStart || !this.#lineIsEmpty) {
        lines++;
        this.#lineIsEmpty = true;
      } else {
        const isOneLine = lines === 1 && this.#pendingBytes === 0;
        if (isOneLine) events.push(this.#parseOneLine(chunk, this.#eventStart, at + 1));
        else this.#endEvent(chunk, at + 1, events);
        this.#eventStart = at + 1;
        lines = 0;
      }
      lineStart = at + 1;
    }
    if (lineStart < chunk.length) this.#lineIsEmpty = false;
  }

  #scanMixed(chunk: Buffer, events: SseEvent[]): void {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (this.#crIsOpen) {
        this.#crIsOpen = false;
        if (byte === lf) {
          this.#endLine(chunk, at + 1, events, false);
          continue;
        }
        this.#endLine(chunk, at, events, true);
      }
      if (byte === cr) this.#crIsOpen = true;
      else if (byte !== lf) this.#lineIsEmpty = false;
      else if (!this.#skipsLf) this.#endLine(chunk, at + 1, events, false);
      this.#skipsLf = false;
    }
    // Waiting for the byte after a CR would hold back every event of a stream that has no LF.
    if (this.#crIsOpen && this.#lineIsEmpty && this.#endsLinesWithCr) {
      this.#crIsOpen = false;
      this.#endLine(chunk, chunk.length, events, true);
      this.#skipsLf = true;
    }
  }

  #endLine(chunk: Buffer, lineEnd: number, events: SseEvent[], byCr: boolean): void {
    if (this.#lineIsEmpty) {
      this.#endEvent(chunk, lineEnd, events);
      this.#eventStart = lineEnd;
    }
    this.#endsLinesWithCr = byCr;
    this.#lineIsEmpty = true;
  }

  #endEvent(chunk: Buffer, eventEnd: number, events: SseEvent[]): void {
    events.push(this.#parse(this.#complete(chunk.subarray(this.#eventStart, eventEnd))));
  }

  /** Puts the event's earlier chunks in front of its last part. */
  #complete(lastPart: Buffer): Buffer {
    if (this.#pendingBytes === 0) return lastPart;
    const raw = Buffer.concat([this.#pending.subarray(0, this.#pendingBytes), lastPart]);
    this.#pendingBytes = 0;
    if (this.#pending.length > keptBufferBytes) this.#pending = Buffer.alloc(0);
    return raw;
  }

  #keep(rest: Buffer): void {
    const needed = this.#pendingBytes + rest.length;
    if (needed > this.#pending.length) {
      // Its own memory: a small piece of the pool that all share would keep the whole of it.
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#pending.length));
      this.#pending.copy(larger, 0, 0, this.#pendingBytes);
      this.#pending = larger;
    }
    rest.copy(this.#pending, this.#pendingBytes);
    this.#pendingBytes = needed;
  }

  /** `data: …`, LF, LF: nearly every event of a language model's stream. */
  #parseOneLine(chunk: Buffer, start: number, end: number): SseEvent {
    // An event nearly always comes alone.
    const raw = start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end);
    if (!startsWithData(chunk, start)) return this.#parse(raw);
    this.#isFirstEvent = false;
    const dataStart = start + (chunk[start + 5] === 0x20 ? 6 : 5);
    return { raw, type: null, data: chunk.toString('utf8', dataStart, end - 2) };
  }

  #parse(raw: Buffer): SseEvent {
    const text = raw.toString('utf8');
    const fields = this.#isFirstEvent && text.startsWith('\uFEFF') ? text.slice(1) : text;
    this.#isFirstEvent = false;
    return { raw, ...readFields(fields) };
  }
}

function startsWithData(bytes: Buffer, at: number): boolean {
  return (
    bytes[at] === 0x64 &&
    bytes[at + 1] === 0x61 &&
    bytes[at + 2] === 0x74 &&
    bytes[at + 3] === 0x61 &&
    bytes[at + 4] === 0x3a
  );
}

/** A colon at the start makes a comment: its field has no name, like that of a blank line. */
function readFields(text: string): Pick<SseEvent, 'type' | 'data'> {
  let type: string | null = null;
  const data: string[] = [];
  for (const line of text.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':');
    const name = colon === -1 ? line : line.slice(0, colon);
    if (name !== 'data' && name !== 'event') continue;
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') data.push(value);
    else type = value === '' ? null : value;
  }
  return { type, data: data.length === 0 ? null : data.join('\n') };
}
