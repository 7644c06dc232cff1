import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import type { Usage } from '../../domain/usage.ts';
import { ChunkMeter } from '../openai/chunk-meter.ts';
import { followSse } from '../sse-follower.ts';
import { readAnswer } from './answer.ts';
import { ChatChoices } from './choices.ts';

const tokens = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
const citation = { type: 'url_citation', url_citation: { url: 'https://example.org', title: 'x' } };
const quirks = quirksOf('nobody-knows');

interface Answer {
  readonly model?: unknown;
  readonly message?: object;
  readonly usage?: object | null;
}

function usageOf({ model = 'a-model', message = {}, usage = {} }: Answer): Usage | null {
  const choices = [{ index: 0, message: { role: 'assistant', content: 'Hi', ...message } }];
  const answer = { model, choices, usage: usage === null ? null : { ...tokens, ...usage } };
  return readAnswer(Buffer.from(JSON.stringify(answer)), { quirks }).usage;
}

/** The same from a stream with a delta an event. */
function usageOfStream(deltas: readonly object[], usage: object = {}): Usage | null {
  const follower = followSse(new ChunkMeter(new ChatChoices(quirks, 'delta'), true), () => Buffer.alloc(0));
  const chunks = deltas.map((delta) => ({ model: 'a-model', choices: [{ index: 0, delta }] }));
  for (const chunk of [...chunks, { choices: [], usage: { ...tokens, ...usage } }]) {
    follower.push(Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`));
  }
  return follower.reading().usage;
}

describe('searches', () => {
  test.each(['gpt-4o-search-preview-2025-03-11', 'gpt-4o-mini-search-preview', 'gpt-5-search-api'])(
    '%s searches for each answer, though its usage has no word of it',
    (model) => {
      expect(usageOf({ model })).toEqual({ input: 10, output: 5, web_search: 1 });
      expect(usageOf({ model, message: { annotations: [citation, citation] } })?.web_search).toBe(1);
    },
  );

  test('an answer that cites pages has searched once, whole or in chunks', () => {
    expect(usageOf({ message: { annotations: [citation, citation] } })?.web_search).toBe(1);
    expect(usageOfStream([{ annotations: [citation] }, { annotations: [citation] }])?.web_search).toBe(1);
  });

  test('an answer that cites nothing, or files, has not', () => {
    expect(usageOf({ message: { annotations: [] } })).toEqual({ input: 10, output: 5 });
    expect(usageOf({ message: { annotations: [{ type: 'file_citation' }, null, 7] } })).not.toHaveProperty(
      'web_search',
    );
  });

  test.each([
    ['OpenRouter', { server_tool_use_details: { web_search_requests: 3 } }, 3],
    ['OpenRouter, of none', { server_tool_use_details: { web_search_requests: 0 } }, undefined],
    ['Perplexity', { num_search_queries: 18 }, 18],
    ['Perplexity, by the size of each', { search_context_size: 'low' }, undefined],
    ['xAI', { num_sources_used: 0 }, undefined],
  ])('the account of %s stands, whatever is cited', (_, usage, searches) => {
    expect(usageOf({ message: { annotations: [citation] }, usage })?.web_search).toBe(searches);
  });
});

describe('tools that Groq runs', () => {
  const tool = (index: number, type: string) => ({ index, type, arguments: '{}' });

  test('are units by their kind, each run once', () => {
    const executed_tools = [
      tool(0, 'search'),
      tool(1, 'search'),
      tool(2, 'visit'),
      tool(3, 'python'),
      tool(4, 'browser.open'),
      { index: 5, type: 'function', name: 'code_interpreter' },
      tool(6, 'unheard_of'),
      tool(7, 'input'),
    ];
    expect(usageOf({ message: { executed_tools } })).toEqual({
      input: 10,
      output: 5,
      web_search: 2,
      web_fetch: 2,
      code_interpreter: 2,
    });
  });

  test('are not counted beside an account of them in the usage', () => {
    const usage = { server_tool_use_details: { web_search_requests: 3 } };
    const executed_tools = [tool(0, 'search'), tool(1, 'visit')];
    expect(usageOf({ message: { executed_tools }, usage })).toMatchObject({ web_search: 3, web_fetch: 1 });
  });

  test('are the same run where a later chunk brings its output', () => {
    const started = { executed_tools: [tool(0, 'search')] };
    const ended = { executed_tools: [{ ...tool(0, 'search'), output: 'found' }] };
    expect(usageOfStream([started, ended, { executed_tools: [tool(1, 'search')] }])?.web_search).toBe(2);
  });
});

describe('images', () => {
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };

  test('counted among the completion are a class of their own, which takes nothing twice', () => {
    const usage = { completion_tokens_details: { image_tokens: 4 } };
    expect(usageOf({ message: { images: [image] }, usage })).toEqual({
      input: 10,
      output: 1,
      output_image: 4,
    });
    expect(usageOf({ usage: { completion_tokens_details: { image_tokens: 9 } } })).toEqual({
      input: 10,
      output: 0,
      output_image: 5,
    });
  });

  test('not counted in tokens are counted by the piece, whole or in chunks', () => {
    expect(usageOf({ message: { images: [image, image] } })?.image).toBe(2);
    const indexed = (index: number) => ({ images: [{ ...image, index }] });
    expect(usageOfStream([indexed(0), indexed(1), indexed(1)])?.image).toBe(2);
    expect(usageOfStream([{ images: [image] }, { images: [image] }])?.image).toBe(2);
  });

  test('that are none leave no class', () => {
    expect(
      usageOf({ message: { images: [] }, usage: { completion_tokens_details: { image_tokens: 0 } } }),
    ).toEqual({ input: 10, output: 5 });
  });
});

describe("Perplexity's deep research", () => {
  const research = { citation_tokens: 700, reasoning_tokens: 7_000, num_search_queries: 18 };

  test('bills what it read and reasoned, which its total leaves out', () => {
    const expected = { input: 710, output: 5, reasoning: 7_000, web_search: 18 };
    expect(usageOf({ usage: research })).toEqual(expected);
    const cost = { citation_tokens_cost: 0.0014, total_cost: 0.2 };
    expect(usageOf({ usage: { ...research, cost } })).toEqual(expected);
  });

  test('is nothing that another model does which reads and is not paid for it', () => {
    const cost = { input_tokens_cost: 0.01, request_cost: 0.005, total_cost: 0.02 };
    expect(usageOf({ usage: { citation_tokens: 700, cost } })).toEqual({ input: 10, output: 5 });
  });

  test.each([-1, 1.5, 'many', 2e8])('a count of %s makes the usage unusable', (count) => {
    expect(usageOf({ usage: { ...research, citation_tokens: count } })).toBeNull();
    expect(usageOf({ usage: { ...research, reasoning_tokens: count } })).toBeNull();
    expect(usageOf({ usage: { completion_tokens_details: { image_tokens: count } } })).toBeNull();
  });
});

test('rejected tokens of a prediction are part of the completion, and charged once', () => {
  const details = { accepted_prediction_tokens: 1, rejected_prediction_tokens: 3, reasoning_tokens: 0 };
  expect(usageOf({ usage: { completion_tokens_details: details } })).toEqual({
    input: 10,
    output: 5,
    reasoning: 0,
  });
});

test('where there is no usage, nothing is added to none', () => {
  expect(usageOf({ message: { annotations: [citation] }, usage: null })).toBeNull();
});

test('members and indexes of any kind bring nothing down', () => {
  const odd = JSON.parse('{"toString": 1, "valueOf": []}');
  const message = {
    annotations: 7,
    images: [null, { index: odd }, 3],
    executed_tools: [null, 1, { index: odd, type: 'search' }, { type: odd, name: 7 }],
  };
  expect(usageOf({ model: odd, message })).toMatchObject({ input: 10, image: 3, web_search: 1 });
  expect(usageOf({ model: null, message: { images: odd, executed_tools: odd } })).toEqual({
    input: 10,
    output: 5,
  });
});
