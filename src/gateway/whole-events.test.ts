import fc from 'fast-check';
import { expect, it } from 'vitest';
import { wholeEvents } from './whole-events.ts';

const cut = (text: string) => Array.from(wholeEvents(Buffer.from(text)), String);

it.each([
  ['data: a\n\ndata: b\n\n', ['data: a\n\n', 'data: b\n\n']],
  ['data: a\r\n\r\ndata: b\r\n\r\nda', ['data: a\r\n\r\n', 'data: b\r\n\r\n', 'da']],
  ['event: x\ndata: a\n\n: c\n\n', ['event: x\ndata: a\n\n', ': c\n\n']],
  ['[{"a": 1}\n,\r\n{"a": 2}', ['[{"a": 1}\n,\r\n{"a": 2}']],
  ['\n\n\n', ['\n\n', '\n']],
  ['', []],
])('cuts %j behind each blank line', (text, pieces) => {
  expect(cut(text)).toEqual(pieces);
});

it('loses no byte of anything', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '\n', '\r') }), (text) => {
      expect(cut(text).join('')).toBe(text);
    }),
  );
});
