import { describe, expect, it } from 'vitest';
import { quietObserver } from '../../test/support/quiet-observer.ts';
import { type AnswerReading, type DialectRequest, nothingSaid } from '../dialects/dialect.ts';
import type { Usage } from '../domain/usage.ts';
import type { CountedByProvider, Tokenizer } from '../tokenizer/tokenizer.ts';
import { meter } from './meter.ts';

const prompt = { texts: ['prompt'], overhead: 3 };
const request: DialectRequest = {
  kind: 'request',
  model: 'm',
  stream: true,
  isFree: false,
  estimatedInputTokens: 50,
  continues: null,
  maxOutputTokens: null,
  choices: 1,
  units: {},
  serviceTier: null,
  asksUsage: false,
  unknownMember: null,
  isStreamed: () => true,
  callFor: () => ({ path: '/', body: Buffer.alloc(0) }),
  prompt: () => prompt,
};

/** Counts a token a letter, and half of an answer that broke off, so that a test can be read. */
function lettersTokenizer() {
  const learned: CountedByProvider[] = [];
  const tokenizer: Tokenizer = {
    count: async (_, { side, countable: { texts, overhead }, isCutOff }) =>
      (texts.join('').length + overhead) / (isCutOff && side === 'output' ? 2 : 1),
    learn: (counted) => learned.push(counted),
    factors: () => [],
    close: async () => undefined,
  };
  return { tokenizer, learned };
}
const broken: Tokenizer = {
  ...lettersTokenizer().tokenizer,
  count: () => Promise.reject(new Error('the thread died')),
};

const observer = quietObserver;

function metered(
  usage: Usage | null,
  generated: string,
  complete: boolean,
  { tokenizer }: { tokenizer: Tokenizer } = lettersTokenizer(),
) {
  const reading = { ...nothingSaid, usage, generated: { texts: [generated], overhead: 0 } };
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
    ['less than we count', { input: 7, output: 3, reasoning: 1 }, 'tiktoken', { input: 7, output: 6 }],
    [
      'cached input, and less',
      { input: 2, cache_read: 5, output: 3 },
      'tiktoken',
      { input: 2, cache_read: 5, output: 6 },
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
    expect(await metered(null, 'twelve chars', true, { tokenizer: broken })).toEqual({
      usage: { input: 50, output: 3, requests: 1 },
      method: 'estimated',
    });
  });
});

describe('what is learned of how a model counts', () => {
  async function learnedFrom(
    usage: Usage,
    changes: Partial<AnswerReading> = {},
    asked: Partial<DialectRequest> = {},
  ) {
    const { tokenizer, learned } = lettersTokenizer();
    const reading = { ...nothingSaid, usage, generated: { texts: ['answer'], overhead: 0 }, ...changes };
    const metering = { request: { ...request, ...asked }, upstreamModel: 'up', reading, complete: true };
    await meter(metering, { tokenizer, observer });
    return learned.flatMap(({ sides }) => sides.map(({ side, tokens }) => [side, tokens]));
  }

  it('comes from both sides of an answer that nothing but text accounts for', async () => {
    expect(await learnedFrom({ input: 9, output: 6, reasoning: 0, cache_read: 0 })).toEqual([
      ['input', 9],
      ['output', 6],
    ]);
  });

  it.each([
    ['a cache', { input: 9, cache_read: 5, output: 6 }, ['output']],
    ['a recording', { input: 9, input_audio: 5, output: 6 }, ['output']],
    ['reasoning', { input: 9, output: 6, reasoning: 3 }, ['input']],
    ['spoken words', { input: 9, output: 6, output_audio: 3 }, ['input']],
    ['a search', { input: 9, output: 6, web_search: 1 }, []],
  ])('leaves out what %s may account for', async (_, usage, sides) => {
    expect((await learnedFrom(usage)).map(([side]) => side)).toEqual(sides);
  });

  it('leaves out what an earlier answer, another model or an error may account for', async () => {
    const usage = { input: 9, output: 6 };
    expect(await learnedFrom(usage, {}, { continues: 'resp_1' })).toEqual([['output', 6]]);
    expect(await learnedFrom(usage, { otherModels: [{ model: 'x', usage }] })).toEqual([]);
    expect(await learnedFrom(usage, { error: 'overloaded' })).toEqual([]);
  });

  it('comes from no answer that broke off', async () => {
    const { tokenizer, learned } = lettersTokenizer();
    await metered({ input: 9, output: 60 }, 'answer', false, { tokenizer });
    expect(learned).toEqual([]);
  });
});
