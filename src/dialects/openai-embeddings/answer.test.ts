import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import { readAnswer } from './answer.ts';

const data = [{ object: 'embedding', index: 0, embedding: [0.1, -0.2] }];
const read = (answer: unknown, provider = 'openai') =>
  readAnswer(Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)), {
    quirks: quirksOf(provider),
  });
const usageOf = (usage: unknown) => read({ data, usage }).usage;

describe('the usage of embeddings is input alone', () => {
  test.each([
    ['the plainest', { prompt_tokens: 8, total_tokens: 8 }, { input: 8 }],
    [
      'with nothing generated (Mistral, vLLM)',
      { prompt_tokens: 8, completion_tokens: 0, total_tokens: 8 },
      { input: 8 },
    ],
    ['a total alone (Voyage)', { total_tokens: 8 }, { input: 8 }],
    ['a prompt alone', { prompt_tokens: 8 }, { input: 8 }],
    [
      'a total with what else was read',
      { prompt_tokens: 8, image_tokens: 500, total_tokens: 508 },
      { input: 508 },
    ],
    ['a total of nothing beside a prompt', { prompt_tokens: 8, total_tokens: 0 }, { input: 8 }],
    [
      'a part that was cached',
      { prompt_tokens: 8, total_tokens: 8, prompt_tokens_details: { cached_tokens: 3 } },
      { input: 5, cache_read: 3 },
    ],
    [
      'nulls beside it',
      { prompt_tokens: 8, total_tokens: 8, prompt_tokens_details: null, request_count: null },
      { input: 8 },
    ],
  ])('%s', (_, usage, expected) => {
    expect(usageOf(usage)).toEqual(expected);
  });

  test.each([
    ['missing', undefined],
    ['null', null],
    ['empty', {}],
    ['a text', '8'],
    ['a negative count', { prompt_tokens: -8, total_tokens: 8 }],
    ['a fraction', { total_tokens: 8.5 }],
    ['more than anyone sends', { total_tokens: 100_000_001 }],
    ['a count as text', { prompt_tokens: '8', total_tokens: 8 }],
    ['a negative completion', { prompt_tokens: 8, completion_tokens: -1, total_tokens: 8 }],
    ['all zero beside embeddings', { prompt_tokens: 0, total_tokens: 0 }],
    ['a total of zero beside embeddings', { total_tokens: 0 }],
  ])('that is %s is none, so that the prompt is counted by us', (_, usage) => {
    expect(read({ data, usage })).toMatchObject({ usage: null, error: null });
  });

  test('all zero beside no embeddings is a zero', () => {
    expect(read({ data: [], usage: { prompt_tokens: 0, total_tokens: 0 } })).toMatchObject({
      usage: { input: 0 },
      error: null,
    });
  });
});

test('what upstream says that it charges is read, to the nano', () => {
  const usage = { prompt_tokens: 7, total_tokens: 7, cost: 1.4e-7 };
  expect(read({ data, usage })).toMatchObject({ statedCost: 140n, reported: usage });
  expect(read({ data, usage: { total_tokens: 3, cost: { total_cost: 1.2e-8 } } }).statedCost).toBe(12n);
});

describe('an answer without embeddings', () => {
  test.each([
    ['an error', { error: { message: 'overloaded' } }, 'overloaded'],
    ['nothing', {}, 'The answer has no embeddings'],
    ['none', { data: [] }, 'The answer has no embeddings'],
    ['a page', '<html>', 'The answer is not a JSON object'],
    ['a piece', '{"data":[', 'The answer is not a JSON object'],
    ['a list', '[[0.1]]', 'The answer is not a JSON object'],
  ])('that is %s is an error with nothing to charge', (_, answer, error) => {
    expect(read(answer)).toMatchObject({ error, usage: null, generated: { texts: [], overhead: 0 } });
  });

  test('is charged where it says what it used', () => {
    const usage = { prompt_tokens: 7, total_tokens: 7 };
    expect(read({ error: 'late', usage })).toMatchObject({ error: 'late', usage: { input: 7 } });
  });
});

test('any JSON in the place of its members goes through, and makes no count that is none', () => {
  const name = fc.constantFrom(
    'prompt_tokens',
    'total_tokens',
    'completion_tokens',
    'prompt_tokens_details',
    'cost',
  );
  const answer = fc.record({
    data: fc.jsonValue(),
    error: fc.jsonValue(),
    usage: fc.dictionary(name, fc.jsonValue()),
  });
  fc.assert(
    fc.property(answer, (given) => {
      const counts = Object.values(read(given).usage ?? {});
      expect(counts.every((count) => Number.isSafeInteger(count) && Number(count) >= 0)).toBe(true);
    }),
  );
});
