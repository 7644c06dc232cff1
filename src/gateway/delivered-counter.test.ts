import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLearningTokenizer } from '../tokenizer/learning-tokenizer.ts';
import { createThreadedTokenizer } from '../tokenizer/threaded-tokenizer.ts';
import type { Counted, Tokenizer } from '../tokenizer/tokenizer.ts';
import { DeliveredCounter } from './delivered-counter.ts';

let tokenizer: Tokenizer;

beforeAll(() => {
  tokenizer = createLearningTokenizer({
    counter: createThreadedTokenizer(),
    store: { load: async () => [], save: async () => undefined },
    known: [],
    onAccuracy: () => undefined,
    onFault: () => undefined,
  });
});
afterAll(() => tokenizer.close());

const model = 'gpt-4o';
const outputOf = (...texts: string[]): Counted => ({
  side: 'output',
  countable: { texts, overhead: 0 },
  isCutOff: true,
});
const whole = (...texts: string[]) =>
  tokenizer.count(model, { side: 'output', countable: { texts, overhead: 0 }, isCutOff: false });

const words = fc.array(
  fc.constantFrom(' the', ' sea', 'un', 'believ', 'able', '海', '😊', '\n\n', '1234', ' {"a":', '"b"}'),
  { minLength: 1, maxLength: 60 },
);

describe('the tokens of a stream that grows', () => {
  it('never fall, and are never more than the whole has in the end, wherever it is looked at', async () => {
    await fc.assert(
      fc.asyncProperty(words, fc.array(fc.nat(40), { maxLength: 12 }), async (pieces, steps) => {
        const text = pieces.join('');
        const counter = new DeliveredCounter(tokenizer);
        let [end, before] = [0, 0];
        for (const step of [...steps, text.length]) {
          end = Math.min(text.length, end + step);
          const counted = await counter.count(model, outputOf(text.slice(0, end)));
          expect(counted).toBeGreaterThanOrEqual(before);
          before = counted;
        }
        expect(before).toBeLessThanOrEqual(await whole(text));
      }),
      { numRuns: 150 },
    );
  });

  it.each([
    ['English', 'The sea was calm that evening, and nobody had thought of the storm. '],
    ['Chinese', '那天傍晚大海很平静，谁也没有想到暴风雨会来。海边的渔民都在收网，孩子们在沙滩上奔跑。'],
    ['Chinese without punctuation', '那天傍晚大海很平静谁也没有想到暴风雨会来海边的渔民都在收网'],
    ['Thai', 'เย็นวันนั้นทะเลสงบมากและไม่มีใครคิดว่าพายุจะมา'],
  ])('are nearly all of them in %s', async (_, sentence) => {
    const text = sentence.repeat(60);
    const counter = new DeliveredCounter(tokenizer);
    let counted = 0;
    for (let end = 100; end <= text.length; end += 100)
      counted = await counter.count(model, outputOf(text.slice(0, end)));
    const all = await whole(text.slice(0, text.length - (text.length % 100)));
    // Where nothing parts a text, its last piece is 64 characters long.
    expect(counted).toBeGreaterThan(0.99 * all - 64);
  });

  it('begin anew where the texts are not the same ones', async () => {
    const counter = new DeliveredCounter(tokenizer);
    await counter.count(model, outputOf('One text that was there.'));
    const both = await counter.count(model, outputOf('Another one. ', 'One text that was there.'));
    expect(both).toBeLessThanOrEqual(await whole('Another one. ', 'One text that was there.'));
    expect(both).toBeGreaterThanOrEqual(7);
  });

  it('of the prompt are counted once', async () => {
    let asked = 0;
    const counter = new DeliveredCounter({ count: async () => ++asked });
    const input: Counted = { side: 'input', countable: { texts: ['a'], overhead: 3 }, isCutOff: true };
    expect([await counter.count(model, input), await counter.count(model, input)]).toEqual([1, 1]);
  });
});
