import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, it } from 'vitest';
import { OutputBound } from './output-bound.ts';

const count = (texts: readonly string[]) => texts.reduce((sum, text) => sum + countTokens(text), 0);
const countable = (...texts: string[]) => ({ texts, overhead: 0 });

describe('the bound of an output', () => {
  it('is never below its tokens, however it grows and whenever it is counted', async () => {
    const piece = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(' the', ' sea', 'un', 'believ', 'able', '海', '👩‍🚀', '\n\n', '  ', '1234'),
    );
    const step = fc.record({
      place: fc.nat(2),
      piece,
      look: fc.constantFrom('length', 'bytes', 'count'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const bound = new OutputBound(async (texts) => count(texts));
        const texts = ['', '', ''];
        for (const { place, piece: more, look } of steps) {
          texts[place] += more;
          const now = countable(...texts.filter((text) => text !== ''));
          if (look === 'count') await bound.count(now);
          const most = look === 'bytes' ? bound.byBytes(now) : bound.byLength(now);
          expect(most).toBeGreaterThanOrEqual(count(now.texts));
        }
      }),
    );
  });

  it('counts a long text by what came since', async () => {
    const counted: string[] = [];
    const bound = new OutputBound(async (texts) => {
      counted.push(...texts);
      return count(texts);
    });
    await bound.count(countable('Tell me of'));
    await bound.count(countable('Tell me of the sea'));
    // The last word may go on, so it is counted with what comes behind it.
    expect(counted).toEqual(['Tell me', ' of the']);
    expect(bound.byLength(countable('Tell me of the sea'))).toBe(4 + ' sea'.length);
  });

  it('begins anew where a provider takes back what it sent', async () => {
    const bound = new OutputBound(async (texts) => count(texts));
    await bound.count(countable('one two three four'));
    expect(bound.byLength(countable('海'))).toBe(3);
  });
});
