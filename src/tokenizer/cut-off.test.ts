import fc from 'fast-check';
import { countTokens as countCl100k } from 'gpt-tokenizer/encoding/cl100k_base';
import { countTokens as countO200k } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, test } from 'vitest';
import { certainPart } from './cut-off.ts';

const options = { disallowedSpecial: new Set<string>() };
const encodings = { o200k_base: countO200k, cl100k_base: countCl100k };

const texts = {
  prose:
    'It\'s an unbelievably long-winded story, isn\'t it? 12,345 words; they said: "Never"...\n\n- One\n- Two 3.14!\n',
  JSON: '{"city": "San Francisco, CA", "days": [1, 22, 333], "nested": {"a_b": true}}\n',
  code: 'export const maxTokens = 1_000;\n\n  // why?\n  if (x !== y) return a[b] || c;\n',
  German: 'Die Straßenbahnhaltestellenschilder überraschten „niemanden“ – außer Jürgen.\n',
  Russian: 'Достопримечательности города, разумеется, впечатляют: 1-й, 2-й и 3-й дома.\n',
  Chinese: '老城的茶馆清晨五点就开门了。老人们提着鸟笼走进来，各自坐在熟悉的位置上。',
  emoji: 'Good 👍🏽 morning 🇩🇪🇫🇷! 👩‍💻 works…\n',
};

/** What a stream that broke off behind so much of a text is charged. */
function charged(text: string, count: typeof countO200k): number {
  const { texts: certain, overhead } = certainPart({ texts: [text], overhead: 5 });
  return overhead + certain.reduce((sum, part) => sum + count(part, options), 0);
}

describe.each(Object.entries(encodings))('what is certain of a text that broke off, by %s', (_, count) => {
  test.each(Object.entries(texts))(
    'never gets less while %s gets longer, nor more than all of it',
    (name, text) => {
      const most = count(text, options);
      let previous = 0;
      for (let length = 0; length <= text.length; length++) {
        const tokens = charged(text.slice(0, length), count);
        // Without spaces there is no border within reach at which a text is certain to be split.
        if (name !== 'Chinese' && name !== 'emoji')
          expect(tokens, text.slice(0, length)).toBeGreaterThanOrEqual(previous);
        expect(tokens).toBeLessThanOrEqual(most + (name === 'emoji' ? 1 : 0));
        previous = tokens;
      }
    },
  );

  test('of any words is at most all of them, and misses no more than the last piece', () => {
    const words = fc.array(
      fc.constantFrom('the', ' unbelievable', ',', ' 2024', '\n\n', '("x")', ' é', "'s"),
      {
        minLength: 20,
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(words, (pieces) => {
        const text = pieces.join('');
        const tokens = charged(text, count);
        expect(tokens).toBeLessThanOrEqual(count(text, options) + 1);
        expect(tokens).toBeGreaterThan(count(text, options) - 12);
      }),
    );
  });
});

test('texts that are empty come to nothing, and what the wire format adds is left out', () => {
  expect(certainPart({ texts: [], overhead: 7 })).toEqual({ texts: [], overhead: 0 });
  expect(certainPart({ texts: ['', 'one'], overhead: 7 })).toEqual({ texts: ['', ''], overhead: 1 });
  expect(certainPart({ texts: ['one two', 'three four'], overhead: 7 })).toEqual({
    texts: ['one', 'three'],
    overhead: 2,
  });
});

test('a long text without borders is looked at from its end only', () => {
  const long = 'x'.repeat(5_000_000);
  expect(certainPart({ texts: [long], overhead: 0 }).texts[0]).toHaveLength(5_000_000 - 64);
});
