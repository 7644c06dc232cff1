import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import { readAnswer } from './answer.ts';

const context = {
  quirks: quirksOf('gemini'),
  request: { model: 'public', continues: null as string | null },
};
const read = (answer: unknown, continues: string | null = null) =>
  readAnswer(Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)), {
    ...context,
    request: { model: 'public', continues },
  });

const candidate = (text: string, more: object = {}) => ({
  content: { role: 'model', parts: [{ text }] },
  finishReason: 'STOP',
  ...more,
});
const usageMetadata = { promptTokenCount: 9, candidatesTokenCount: 4, totalTokenCount: 13 };

describe('a whole answer', () => {
  test('its usage, its text and its finish reason are read', () => {
    const answer = { candidates: [candidate('Hello')], usageMetadata, modelVersion: 'gemini-2.5-flash' };
    expect(read(answer)).toMatchObject({
      usage: { input: 9, output: 4 },
      generated: { texts: ['Hello'], overhead: 0 },
      finishReason: 'STOP',
      error: null,
      reported: usageMetadata,
      otherModels: [],
      statedCost: null,
      answerId: null,
    });
  });

  test('searches are units of the model that served it, whatever name was asked for', () => {
    const groundingMetadata = { webSearchQueries: ['a', 'b'], groundingChunks: [{ web: {} }] };
    const answer = (modelVersion?: string) =>
      read({ candidates: [candidate('Hi', { groundingMetadata })], usageMetadata, modelVersion });
    expect(answer('gemini-2.5-flash').usage).toEqual({ input: 9, output: 4, grounded_prompt: 1 });
    expect(answer('gemini-3-flash').usage).toEqual({ input: 9, output: 4, web_search: 2 });
  });

  test('what a search put into the prompt is a class of its own, what a page put there is input', () => {
    const searched = { ...usageMetadata, toolUsePromptTokenCount: 100, totalTokenCount: 113 };
    const groundingMetadata = { webSearchQueries: ['a'], groundingChunks: [{ web: {} }] };
    const answer = (more: object) =>
      read({
        candidates: [candidate('Hi', more)],
        usageMetadata: searched,
        modelVersion: 'gemini-2.5-flash',
      }).usage;
    expect(answer({ groundingMetadata })).toEqual({
      input: 9,
      input_search: 100,
      output: 4,
      grounded_prompt: 1,
    });
    const pages = { urlContextMetadata: { urlMetadata: [] } };
    expect(answer(pages)).toEqual({ input: 109, output: 4 });
    expect(answer({ groundingMetadata, ...pages })).toMatchObject({ input: 109 });
  });

  test.each([
    [{ serviceTier: 'flex' }, 'flex'],
    [{ serviceTier: 'standard' }, 'standard'],
    [{ trafficType: 'ON_DEMAND' }, 'standard'],
    [{ trafficType: 1 }, 'standard'],
    [{ trafficType: 'ON_DEMAND_FLEX' }, 'flex'],
    [{ trafficType: 'ON_DEMAND_PRIORITY' }, 'priority'],
    [{ trafficType: 'PROVISIONED_THROUGHPUT' }, 'standard'],
    [{ trafficType: 'TRAFFIC_TYPE_UNSPECIFIED' }, null],
    [{}, null],
  ])('%j was served at the tier %s', (more, tier) => {
    expect(
      read({ candidates: [candidate('Hi')], usageMetadata: { ...usageMetadata, ...more } }).serviceTier,
    ).toBe(tier);
  });

  test('usage without a token of what was generated is none; beside no text it is what it says', () => {
    const prompt = { promptTokenCount: 9, totalTokenCount: 9 };
    expect(read({ candidates: [candidate('Hi')], usageMetadata: prompt }).usage).toBeNull();
    expect(read({ candidates: [{ finishReason: 'SAFETY' }], usageMetadata: prompt }).usage).toEqual({
      input: 9,
      output: 0,
    });
    expect(read({ candidates: [candidate('Hi')] }).usage).toBeNull();
  });

  test('where only the prompt is not counted, what was generated is counted as upstream says', () => {
    const reported = { candidatesTokenCount: 23, thoughtsTokenCount: 67 };
    expect(read({ candidates: [candidate('A puppy')], usageMetadata: reported })).toMatchObject({
      usage: null,
      generated: { texts: [], overhead: 90 },
    });
  });

  test('a prompt that was blocked costs what upstream counted of it, and nothing where it counted nothing', () => {
    const promptFeedback = { blockReason: 'PROHIBITED_CONTENT' };
    expect(
      read({ promptFeedback, usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 } }),
    ).toMatchObject({
      usage: { input: 9, output: 0 },
      finishReason: 'PROHIBITED_CONTENT',
      error: null,
    });
    expect(read({ promptFeedback, usageMetadata: { trafficType: 'ON_DEMAND' } })).toMatchObject({
      usage: null,
      generated: { texts: [] },
      error: 'The prompt was blocked: PROHIBITED_CONTENT',
    });
    expect(
      read({ candidates: [candidate('Hi')], promptFeedback: { safetyRatings: [] }, usageMetadata }).error,
    ).toBeNull();
  });

  test('reasons and blocks may be numbers', () => {
    expect(read({ candidates: [{ finishReason: 2 }], usageMetadata }).finishReason).toBe('MAX_TOKENS');
    expect(read({ candidates: [{ finishReason: 0 }], usageMetadata }).finishReason).toBeNull();
    expect(read({ promptFeedback: { blockReason: 1 } }).finishReason).toBe('SAFETY');
    expect(read({ promptFeedback: { blockReason: 0 } }).finishReason).toBeNull();
  });

  test('a request that went on from cached content tells how long that may be', () => {
    expect(read({ candidates: [candidate('Hi')], usageMetadata }, 'cachedContents/1').answerId).toBe(
      'cachedContents/1',
    );
    expect(read({ candidates: [candidate('Hi')] }, 'cachedContents/1').answerId).toBeNull();
  });

  test('an error inside a success is an error, with the usage that came beside it', () => {
    expect(read({ error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } })).toMatchObject({
      error: 'overloaded',
      usage: null,
    });
    expect(read({ error: { message: 'overloaded' }, usageMetadata })).toMatchObject({
      error: 'overloaded',
      usage: { input: 9 },
    });
  });

  test.each(['<html>', '', '[]', 'null', '"text"', '{"candidates":[{"content"'])(
    '%s is no answer',
    (body) => {
      expect(read(body)).toMatchObject({
        usage: null,
        generated: { texts: [] },
        error: 'The answer is not a JSON object',
      });
    },
  );

  test('members of the wrong kind are passed over', () => {
    const answer = {
      candidates: [
        null,
        7,
        {},
        { content: 5 },
        { content: { parts: 'x' } },
        { content: { parts: [null, 1, { text: {} }] }, groundingMetadata: [] },
      ],
      usageMetadata: 'none',
      promptFeedback: [],
    };
    expect(read(answer)).toMatchObject({ usage: null, generated: { texts: [] }, error: null });
    expect(read({ candidates: 'none' }).generated.texts).toEqual([]);
  });
});
