import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { SseEvent } from './dialect.ts';
import { SseEventTooLargeError, SseFramer } from './sse.ts';

/** Everything a stream gives, the event that has no blank line behind it included. */
function frame(chunks: readonly Buffer[], maxEventBytes?: number): SseEvent[] {
  const framer = new SseFramer(maxEventBytes === undefined ? {} : { maxEventBytes });
  const events = chunks.flatMap((chunk) => framer.push(chunk));
  const last = framer.end();
  return last === null ? events : [...events, last];
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) =>
    Buffer.from(bytes.subarray(from, places[index] ?? bytes.length)),
  );
}

const fields = ({ type, data }: SseEvent) => ({ type, data });
const withFields = (events: readonly SseEvent[]) =>
  events.map(fields).filter(({ type, data }) => type !== null || data !== null);
const rawOf = (events: readonly SseEvent[]) => Buffer.concat(events.map(({ raw }) => raw)).toString('latin1');

/** The standard's algorithm, written down without regard to bytes, chunks or speed. */
function parseWhole(stream: string): { type: string | null; data: string | null }[] {
  return stream
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
    .replaceAll('\r', '\n')
    .split('\n\n')
    .map((block) => {
      const lines = block.split('\n').map((line) => /^([^:]*):? ?(.*)$/.exec(line) ?? []);
      const valuesOf = (field: string) =>
        lines.filter(([, name]) => name === field).map(([, , value]) => value);
      const data = valuesOf('data');
      return { type: valuesOf('event').at(-1) || null, data: data.length === 0 ? null : data.join('\n') };
    })
    .filter(({ type, data }) => type !== null || data !== null);
}

const line = fc.oneof(
  fc.constantFrom(
    '',
    ':',
    ': comment',
    'data',
    'data:',
    'event: error',
    'event:',
    'id: 7',
    'retry: 10',
    'dat: x',
  ),
  fc
    .tuple(fc.constantFrom('data:', 'data: ', 'data:  '), fc.constantFrom('{"a":1}', '[DONE]', 'ü€😀', ':'))
    .map(([name, value]) => name + value),
);
const stream = fc
  .tuple(fc.boolean(), fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 40 }))
  .map(([bom, lines]) => (bom ? '\uFEFF' : '') + lines.map(([text, end]) => text + end).join(''));

describe('framing server-sent events', () => {
  test.each([
    ['an event ends with a blank line', 'data: a\n\n', [{ type: null, data: 'a' }]],
    [
      'events in one chunk are told apart',
      'data: a\n\ndata: b\n\n',
      [
        { type: null, data: 'a' },
        { type: null, data: 'b' },
      ],
    ],
    [
      'a space behind the colon is not data, a second one is',
      'data:a\n\ndata:  b\n\n',
      [
        { type: null, data: 'a' },
        { type: null, data: ' b' },
      ],
    ],
    ['data lines are joined', 'data: a\ndata:\ndata: b\n\n', [{ type: null, data: 'a\n\nb' }]],
    ['lines end with CRLF', 'event: error\r\ndata: a\r\n\r\n', [{ type: 'error', data: 'a' }]],
    ['lines end with CR', 'event: error\rdata: a\r\r', [{ type: 'error', data: 'a' }]],
    ['a comment is an event without data', ': hello\n\n', [{ type: null, data: null }]],
    [
      'a byte-order mark at the start is no part of a field',
      '\uFEFFdata: a\n\n',
      [{ type: null, data: 'a' }],
    ],
    [
      'a byte-order mark later makes another field',
      'data: a\n\n\uFEFFdata: b\n\n',
      [
        { type: null, data: 'a' },
        { type: null, data: null },
      ],
    ],
    ['bytes that are no UTF-8 are relayed all the same', 'data: \xff\n\n', [{ type: null, data: '\uFFFD' }]],
  ])('%s', (_, text, expected) => {
    const bytes = Buffer.from(text, text.includes('\xff') ? 'latin1' : 'utf8');
    const events = frame([bytes]);
    expect(events.map(fields)).toEqual(expected);
    expect(rawOf(events)).toBe(bytes.toString('latin1'));
  });

  test('a stream that ends without a blank line gives its last event at the end', () => {
    const framer = new SseFramer();
    expect(framer.push(Buffer.from('data: a\n\ndata: {"b"'))).toHaveLength(1);
    expect(framer.push(Buffer.from(':1}'))).toEqual([]);
    expect(framer.end()).toEqual({ raw: Buffer.from('data: {"b":1}'), type: null, data: '{"b":1}' });
    expect(framer.end()).toBeNull();
  });

  test.each([
    ['LF', 'data: a\n\n'],
    ['CRLF', 'data: a\r\n\r\n'],
    ['CR', 'data: a\r\r'],
  ])('an event is given as soon as its last byte is there, with %s', (_, text) => {
    const framer = new SseFramer();
    const bytes = Buffer.from(text);
    for (const byte of bytes.subarray(0, -1)) expect(framer.push(Buffer.of(byte))).toEqual([]);
    expect(framer.push(bytes.subarray(-1)).map(fields)).toEqual([{ type: null, data: 'a' }]);
  });

  test('an LF behind a CR that has ended an event ends no other', () => {
    const events = frame([Buffer.from('data: a\r\r'), Buffer.from('\ndata: b\n\n')]);
    expect(events.map(fields)).toEqual([
      { type: null, data: 'a' },
      { type: null, data: 'b' },
    ]);
    expect(rawOf(events)).toBe('data: a\r\r\ndata: b\n\n');
  });

  test('wherever a stream is cut, its events are those of the standard and no byte is lost', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 12 }), (text, places) => {
        const bytes = Buffer.from(text);
        const events = frame(cut(bytes, places));
        expect(rawOf(events)).toBe(bytes.toString('latin1'));
        expect(withFields(events)).toEqual(parseWhole(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test('any bytes, however cut, come out as they went in', () => {
    const bytes = fc
      .uint8Array({ maxLength: 200 })
      .map((array) => Buffer.from(array).map((byte) => byte % 16));
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(), { maxLength: 20 }), (array, places) => {
        const all = Buffer.from(array);
        expect(rawOf(frame(cut(all, places)))).toBe(all.toString('latin1'));
      }),
      { numRuns: 1_000 },
    );
  });

  test('a character cut in two is one character', () => {
    const bytes = Buffer.from('data: 😀\n\n');
    expect(frame([...bytes].map((byte) => Buffer.of(byte))).map(fields)).toEqual([
      { type: null, data: '😀' },
    ]);
  });

  test('an event without end is refused once it is beyond the limit, and no event before it is lost', () => {
    const framer = new SseFramer({ maxEventBytes: 100 });
    expect(framer.push(Buffer.from(`data: a\n\ndata: ${'b'.repeat(200)}`)).map(fields)).toEqual([
      { type: null, data: 'a' },
    ]);
    expect(() => framer.push(Buffer.from('c'))).toThrow(SseEventTooLargeError);
    expect(framer.end()?.raw.toString()).toBe(`data: ${'b'.repeat(200)}`);
  });

  test('a line of 10 MB in chunks of 1 KB is copied a constant number of times', () => {
    const allocate = vi.spyOn(Buffer, 'allocUnsafe');
    const framer = new SseFramer();
    const chunk = Buffer.alloc(1024, 'x');
    framer.push(Buffer.from('data: '));
    for (let index = 0; index < 10 * 1024; index++) framer.push(chunk);
    const [event] = framer.push(Buffer.from('\n\n'));
    expect(event?.data).toHaveLength(10 * 1024 * 1024);
    const allocated = allocate.mock.calls.reduce((sum, [size]) => sum + size, 0);
    expect(allocated).toBeLessThan(64 * 1024 * 1024);
    allocate.mockRestore();
  });
});
