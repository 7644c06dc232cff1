import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutRuns } from './cut-runs.ts';

const longest = 512;
/** What the splitting rules of the two encodings may leave whole, longer than is taken in one go. */
const longRuns = [
  new RegExp(`[\\p{L}\\p{M}]{${longest + 1}}`, 'u'),
  new RegExp(`[^\\s\\p{L}\\p{N}]{${longest + 1}}`, 'u'),
  new RegExp(`\\s{${longest + 1}}`, 'u'),
];

const run = fc
  .tuple(
    fc.constantFrom(
      'a',
      'A',
      'é',
      '中',
      ' ',
      '\n',
      '\t',
      '!',
      '-',
      '7',
      '😀',
      '𒀀',
      '\u0300',
      '!\u0300',
      'a\u0300',
      'a😀',
      '\ud800',
    ),
    fc.integer({ min: 1, max: 1_500 }),
  )
  .map(([unit, count]) => unit.repeat(count));
const text = fc.array(run, { maxLength: 6 }).map((runs) => runs.join(''));

describe('cutting runs', () => {
  test('the pieces are the text', () => {
    fc.assert(fc.property(text, (whole) => cutRuns(whole).join('') === whole));
  });

  test('no piece has a run that takes long', () => {
    fc.assert(
      fc.property(text, (whole) => {
        for (const piece of cutRuns(whole))
          for (const pattern of longRuns) expect(pattern.test(piece)).toBe(false);
      }),
    );
  });

  test('no character is cut in two', () => {
    const emoji = '😀'.repeat(2_000);
    const pieces = cutRuns(`a${emoji}`);
    expect(pieces.length).toBeGreaterThan(5);
    expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
  });

  test('text with spaces, marks or digits in it is not cut', () => {
    const prose = "It isn't long, but it goes on: 12,345 words — и так далее. ".repeat(500);
    expect(cutRuns(prose)).toEqual([prose]);
    expect(cutRuns('e\u0301-'.repeat(400))).toHaveLength(1);
    expect(cutRuns('')).toEqual(['']);
    expect(cutRuns('x'.repeat(longest - 1))).toHaveLength(1);
  });
});
