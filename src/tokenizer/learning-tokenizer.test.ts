import { describe, expect, test } from 'vitest';
import type { StoredFactor } from './factor-store.ts';
import {
  createLearningTokenizer,
  type LearningTokenizerOptions,
  type ObservedAccuracy,
} from './learning-tokenizer.ts';
import type { Countable, TextCounter } from './tokenizer.ts';

/** Counts a token a letter, so that a test can be read. */
const letters: TextCounter = {
  count: async (_, { texts, overhead }) => texts.join('').length + overhead,
  close: async () => undefined,
};

function open(changes: Partial<LearningTokenizerOptions> = {}) {
  const saved: StoredFactor[] = [];
  const accuracies: ObservedAccuracy[] = [];
  const faults: string[] = [];
  const tokenizer = createLearningTokenizer({
    counter: letters,
    store: { load: async () => [], save: async (factors) => void saved.push(...factors) },
    known: [],
    onAccuracy: (observed) => accuracies.push(observed),
    onFault: (what) => faults.push(what),
    ...changes,
  });
  return { tokenizer, saved, accuracies, faults };
}

const countable = (length: number): Countable => ({ texts: ['x'.repeat(length)], overhead: 0 });
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

async function teach(
  tokenizer: ReturnType<typeof open>['tokenizer'],
  times: number,
  { tokens = 130, text = countable(100), model = 'claude', isStream = true } = {},
) {
  let looked = 0;
  const look = () => {
    looked++;
    return text;
  };
  for (let time = 0; time < times; time++) {
    const sides = [{ side: 'output' as const, tokens, countable: look }];
    tokenizer.learn({ model, isStream, sides });
    await turn();
  }
  return looked;
}

const count = (tokenizer: ReturnType<typeof open>['tokenizer'], length: number, isCutOff = false) =>
  tokenizer.count('claude', { side: 'output', countable: countable(length), isCutOff });

describe('a tokenizer that learns', () => {
  test('counts as our own encoding does until it has learned, and then as the model does', async () => {
    const { tokenizer } = open();
    expect(await count(tokenizer, 1_000)).toBe(1_000);
    await teach(tokenizer, 20);
    expect(await count(tokenizer, 1_000)).toBeGreaterThan(1_250);
    expect(await count(tokenizer, 1_000, true)).toBeLessThanOrEqual(1_000);
  });

  test('looks at the first twenty answers of a model and then at one in fifty', async () => {
    const { tokenizer } = open();
    expect(await teach(tokenizer, 200)).toBe(20 + 3);
    expect(await teach(tokenizer, 5, { model: 'another' })).toBe(5);
  });

  test('returns at once, and looks at one answer at a time', async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const { tokenizer } = open({ counter: { ...letters, count: () => promise } });
    let looked = 0;
    const look = () => {
      looked++;
      return countable(1);
    };
    const sides = [{ side: 'output' as const, tokens: 1, countable: look }];
    tokenizer.learn({ model: 'm', isStream: true, sides });
    expect(looked).toBe(0);
    await turn();
    tokenizer.learn({ model: 'm', isStream: true, sides });
    await turn();
    expect(looked).toBe(1);
    resolve(1);
  });

  test.each([
    ['that is too long to be worth it', { text: countable(40_000), tokens: 50_000 }],
    ['that has more to it than text', { text: { ...countable(100), hasMore: true } }],
    ['without text', { text: countable(0) }],
    ['that cost nothing', { tokens: 0 }],
    ['whose text does not explain its count', { tokens: 5_000 }],
  ])('learns nothing from an answer %s', async (_, answer) => {
    const { tokenizer, accuracies } = open();
    await teach(tokenizer, 3, answer);
    expect(tokenizer.factors()).toEqual([]);
    expect(accuracies).toEqual([]);
  });

  test('tells how near its count came, of streams only', async () => {
    const { tokenizer, accuracies } = open();
    await teach(tokenizer, 1, { isStream: false });
    expect(accuracies).toEqual([]);
    await teach(tokenizer, 1, { model: 'gpt-4o', tokens: 80 });
    expect(accuracies).toEqual([
      { model: 'gpt-4o', side: 'output', counted: 100, reported: 80, percent: 75 },
    ]);
    expect(tokenizer.factors()).toMatchObject([
      { model: 'claude', samples: 1 },
      { model: 'gpt-4o', factorPpm: 1_000_000, accuracyPercent: 75 },
    ]);
  });

  test('keeps what it learned every so often and at its end, and begins with what was kept', async () => {
    const { tokenizer, saved } = open({ saveEveryMs: 5 });
    await teach(tokenizer, 3);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(saved.length).toBeGreaterThan(0);
    await teach(tokenizer, 1);
    await tokenizer.close();
    expect(saved.at(-1)).toMatchObject({ model: 'claude', side: 'output', samples: 4 });
    const next = open({ known: saved.slice(-1) });
    expect(await count(next.tokenizer, 1_000)).toBeGreaterThan(1_150);
  });

  test('tries again to keep what could not be kept', async () => {
    let attempts = 0;
    const { tokenizer, faults } = open({
      store: {
        load: async () => [],
        save: async () => {
          if (++attempts === 1) throw new Error('no disk');
        },
      },
      saveEveryMs: 1,
    });
    await teach(tokenizer, 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect([attempts, faults.length]).toEqual([1, 1]);
    await tokenizer.close();
    expect(attempts).toBe(2);
  });

  test('survives a count that fails, and asks nothing once it is closed', async () => {
    const broken = { ...letters, count: () => Promise.reject(new Error('the thread died')) };
    const { tokenizer, faults } = open({ counter: broken });
    await teach(tokenizer, 2);
    expect(faults).toEqual(['learning how a model counts', 'learning how a model counts']);
    await expect(count(tokenizer, 10)).rejects.toThrow('the thread died');
    await tokenizer.close();
    expect(await teach(tokenizer, 1)).toBe(0);
  });
});
