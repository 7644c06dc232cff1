import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, test } from 'vitest';
import { beginning, encoded, sentences, textOf } from './pieces.ts';
import { comma, firstOpenings, fullStop, laterOpenings, smile, words } from './vocabulary.ts';

const seeds = fc.integer();

describe('the vocabulary', () => {
  test('has each of its words and marks as one token', () => {
    const all = [...firstOpenings, ...laterOpenings, ...words, comma, fullStop, smile];
    expect(all.filter(({ text }) => countTokens(text) !== 1)).toEqual([]);
  });
});

describe('sentences', () => {
  test('have exactly the tokens that were asked for, and so has every beginning of them', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 80 }), (seed, tokens) => {
        let text = '';
        let counted = 0;
        for (const piece of sentences(seed, tokens)) {
          text += piece.text;
          counted += 1;
          expect(countTokens(text)).toBe(counted);
        }
        expect(counted).toBe(tokens);
      }),
    );
  });

  test('are the same for the same seed, however often they are walked', () => {
    const pieces = sentences(7, 60);
    expect(textOf(pieces)).toBe(textOf(pieces));
    expect(textOf(sentences(7, 60))).toBe(textOf(pieces));
    expect(textOf(sentences(8, 60))).not.toBe(textOf(pieces));
  });

  test('hold characters of one to four bytes', () => {
    const lengths = new Set([...textOf(sentences(1, 5000))].map((character) => Buffer.byteLength(character)));
    expect([...lengths].sort()).toEqual([1, 2, 3, 4]);
  });
});

describe('an encoded text', () => {
  test('comes back whole, with its count, and never cuts a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const pieces = encoded(text);
        expect(textOf(pieces)).toBe(text);
        expect(pieces.tokens).toBe(countTokens(text, { disallowedSpecial: new Set() }));
        for (const piece of pieces) expect(piece.text.isWellFormed()).toBe(true);
      }),
    );
  });

  test('of JSON counts right at every beginning, so that a cut call can be billed', () => {
    const values = fc.dictionary(
      fc.stringMatching(/^[a-z_]{1,12}$/),
      fc.oneof(
        fc.nat(),
        fc.boolean(),
        seeds.map((seed) => textOf(sentences(seed, 6))),
        fc.array(fc.nat(), { maxLength: 3 }),
      ),
      { maxKeys: 5 },
    );
    fc.assert(
      fc.property(values, (value) => {
        let text = '';
        let tokens = 0;
        for (const piece of encoded(JSON.stringify(value))) {
          text += piece.text;
          tokens += piece.tokens;
          expect(countTokens(text)).toBe(tokens);
        }
      }),
    );
  });
});

describe('the beginning of a text', () => {
  test('has as many tokens as it may, and all when it may', () => {
    expect(beginning(sentences(3, 50), 20).tokens).toBe(20);
    expect(countTokens(textOf(beginning(sentences(3, 50), 20)))).toBe(20);
    expect(beginning(sentences(3, 50), 50).tokens).toBe(50);
    expect(textOf(sentences(3, 50)).startsWith(textOf(beginning(sentences(3, 50), 20)))).toBe(true);
  });

  test('leaves out a character of several tokens rather than cut it', () => {
    const signs = encoded('𓀀𓀁𐍈');
    expect([...signs].some(({ tokens }) => tokens > 1)).toBe(true);
    for (let limit = 0; limit < signs.tokens; limit++) {
      expect(beginning(signs, limit).tokens).toBeLessThanOrEqual(limit);
    }
  });
});
