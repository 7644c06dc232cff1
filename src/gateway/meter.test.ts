import { describe, expect, it } from 'vitest';
import type { DialectRequest } from '../dialects/dialect.ts';
import type { Usage } from '../domain/usage.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { meter } from './meter.ts';

const prompt = { texts: ['prompt'], overhead: 3 };
const request: DialectRequest = {
  kind: 'request',
  model: 'm',
  stream: true,
  estimatedInputTokens: 50,
  maxOutputTokens: null,
  choices: 1,
  asksUsage: false,
  bodyFor: () => Buffer.alloc(0),
  prompt: () => prompt,
};

/** Counts a token a letter, so that a test can be read. */
const letters: Tokenizer = {
  count: async (_, { texts, overhead }) => texts.join('').length + overhead,
  close: async () => undefined,
};
const broken: Tokenizer = {
  count: () => Promise.reject(new Error('the thread died')),
  close: async () => undefined,
};

function metered(usage: Usage | null, generated: string, complete: boolean, tokenizer = letters) {
  const reading = {
    usage,
    generated: { texts: [generated], overhead: 0 },
    finishReason: null,
    error: null,
  };
  const observer = { requestEnded: () => undefined, fault: () => undefined };
  return meter({ request, upstreamModel: 'm', reading, complete }, { tokenizer, observer });
}

describe('what was used', () => {
  it("is upstream's number where the answer is complete, whatever we would count", async () => {
    expect(await metered({ input: 7, output: 2 }, 'more than two', true)).toEqual({
      usage: { input: 7, output: 2, requests: 1 },
      method: 'usage',
    });
  });

  it('is our count of prompt and answer where upstream says nothing', async () => {
    expect(await metered(null, 'twelve chars', true)).toEqual({
      usage: { input: 9, output: 12, requests: 1 },
      method: 'tiktoken',
    });
  });

  it.each([
    ['more than we count', { input: 7, output: 20 }, 'usage', { input: 7, output: 20 }],
    ['less than we count', { input: 7, output: 3, reasoning: 1 }, 'tiktoken', { input: 7, output: 12 }],
    [
      'cached input, and less',
      { input: 2, cache_read: 5, output: 3 },
      'tiktoken',
      { input: 2, cache_read: 5, output: 12 },
    ],
  ])(
    'of a stream that broke is never less than what came: upstream said %s',
    async (_, usage, method, expected) => {
      expect(await metered(usage, 'twelve chars', false)).toEqual({
        usage: { ...expected, requests: 1 },
        method,
      });
    },
  );

  it('is estimated, and marked so, where counting fails: the bill does not fail with it', async () => {
    expect(await metered(null, 'twelve chars', true, broken)).toEqual({
      usage: { input: 50, output: 3, requests: 1 },
      method: 'estimated',
    });
  });
});
