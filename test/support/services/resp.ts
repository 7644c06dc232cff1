/**
 * Redis' wire format, RESP2 and RESP3, as far as it takes to tell where one message ends and the next
 * begins: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export interface Frame {
  /** All of the message as it came, with the attributes before it. */
  readonly bytes: Buffer;
  /** The sign that its value begins with, such as `+` or `*`. */
  readonly sign: string;
}

export interface Framer {
  /**
   * The messages that these bytes complete.
   * @throws Error where they are not of this format
   */
  push(bytes: Buffer): readonly Frame[];
  /** What has come of a message that is not complete; it is empty after. */
  takeRest(): Buffer;
}

/** Signs of values that end with their line. */
const simple = '+-:_#,(';
/** Of values with so many bytes after their line. */
const bulk = '$!=';
/** Of values with so many values after their line, once for each element, twice for each pair. */
const valuesPerElement: Readonly<Record<string, number>> = { '*': 1, '~': 1, '>': 1, '%': 2, '|': 2 };
const lineEnd = Buffer.from('\r\n');
/** A line is a sign and a number, or a short text: one without an end is no line. */
const longestLine = 64 * 1024;

interface Header {
  readonly sign: string;
  /** Where the next value, or the next message, begins. */
  readonly end: number;
  /** How many values belong to it, beside itself. */
  readonly inner: number;
}

export function createFramer(): Framer {
  let held: Buffer = Buffer.alloc(0);
  /** Where the next value of the message begins, how many are missing, and what it is. */
  let at = 0;
  let missing = 1;
  let sign: string | null = null;

  /** Takes one value, or the line that opens several, if all of it is there. */
  function step(): boolean {
    const header = readHeader(held, at);
    if (header === null) return false;
    const isAttribute = header.sign === '|';
    // More than one is missing while the values of an attribute are read, which are not the message's own.
    if (!isAttribute && missing === 1) sign ??= header.sign;
    at = header.end;
    // An attribute stands before the value that it is about, and is none itself.
    missing += header.inner - (isAttribute ? 0 : 1);
    return true;
  }

  function take(length: number): Buffer {
    const taken = held.subarray(0, length);
    held = held.subarray(length);
    at = 0;
    missing = 1;
    sign = null;
    return taken;
  }

  return {
    push: (bytes) => {
      held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
      const frames: Frame[] = [];
      while (step()) {
        if (missing === 0 && sign !== null) frames.push({ sign, bytes: take(at) });
      }
      return frames;
    },
    takeRest: () => take(held.length),
  };
}

function readHeader(bytes: Buffer, start: number): Header | null {
  if (start >= bytes.length) return null;
  const sign = String.fromCharCode(bytes[start]!);
  const perElement = valuesPerElement[sign];
  if (!simple.includes(sign) && !bulk.includes(sign) && perElement === undefined) {
    throw new Error(`a message of Redis can't begin with ${JSON.stringify(sign)}`);
  }
  const lineEndsAt = bytes.indexOf(lineEnd, start);
  if (lineEndsAt === -1) {
    if (bytes.length - start > longestLine) throw new Error('a line of Redis without an end');
    return null;
  }
  const afterLine = lineEndsAt + lineEnd.length;
  if (simple.includes(sign)) return { sign, end: afterLine, inner: 0 };
  const text = bytes.toString('latin1', start + 1, lineEndsAt);
  if (!/^(-1|\d{1,15})$/.test(text)) throw new Error(`${JSON.stringify(text)} is no length`);
  // RESP2 has a length of -1 for null.
  const length = Math.max(Number(text), 0);
  if (perElement !== undefined) return { sign, end: afterLine, inner: length * perElement };
  const end = text === '-1' ? afterLine : afterLine + length + lineEnd.length;
  return end > bytes.length ? null : { sign, end, inner: 0 };
}

/** The name of a command, in capitals. */
export function commandName({ bytes }: Frame): string {
  // An array of bulk strings: its length, the name's length, the name.
  return bytes.toString('latin1', 0, 128).split('\r\n')[2]?.toUpperCase() ?? '';
}
