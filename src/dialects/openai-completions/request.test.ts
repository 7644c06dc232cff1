import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import type { ClientCall, DialectRequest } from '../dialect.ts';
import { openaiCompletions } from './index.ts';

const plain = { model: 'gpt-3.5-turbo-instruct', prompt: 'Once upon' };

function callOf(body: unknown): ClientCall {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { path: '/v1/completions', query: new URLSearchParams(), body: Buffer.from(text) };
}

function read(body: unknown): DialectRequest {
  const request = openaiCompletions.readRequest(callOf(body));
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

function bodyFor(
  body: unknown,
  { model = plain.model, provider = 'openai', max = null as number | null } = {},
) {
  const changes = { model, quirks: quirksOf(provider), maxOutputTokens: max };
  const { path, body: sent } = read(body).callFor(changes);
  expect(path).toBe('/completions');
  return sent.toString();
}

describe('reading a request', () => {
  test('without a maximum it may come to whatever the model can, not to the 16 tokens of OpenAI', () => {
    expect(read(plain)).toMatchObject({ maxOutputTokens: null, choices: 1, stream: false, units: {} });
    expect(read({ ...plain, max_tokens: null }).maxOutputTokens).toBeNull();
    expect(read({ ...plain, max_tokens: 7 }).maxOutputTokens).toBe(7);
  });

  test('a maximum of nothing is one: with it a prompt is scored', () => {
    expect(read({ ...plain, max_tokens: 0, echo: true, logprobs: 1 }).maxOutputTokens).toBe(0);
  });

  test.each([
    ['n', { n: 3 }, 3],
    ['best_of, though one is shown', { best_of: 5 }, 5],
    ['the larger of both', { n: 2, best_of: 5 }, 5],
    ['the larger of both, again', { n: 5, best_of: 2 }, 5],
    ['prompts', { prompt: ['a', 'b', 'c'] }, 3],
    ['prompts, each so often', { prompt: ['a', [1, 2]], n: 2, best_of: 4 }, 8],
    ['one prompt of token ids', { prompt: [1, 2, 3] }, 1],
    ['nulls', { n: null, best_of: null, prompt: null }, 1],
  ])('as many answers are generated and billed as %s say', (_, members, choices) => {
    expect(read({ ...plain, ...members }).choices).toBe(choices);
  });

  test.each([
    ['no JSON', '{"prompt":', undefined],
    ['no model', { prompt: 'a' }, 'model'],
    ['no prompt', { model: 'm' }, 'prompt'],
    ['messages in its place', { model: 'm', messages: [{ role: 'user', content: 'a' }] }, 'prompt'],
    ['no prompts', { ...plain, prompt: [] }, 'prompt'],
    ['an object', { ...plain, prompt: {} }, 'prompt'],
    ['half a token', { ...plain, prompt: [1.5] }, 'prompt[0]'],
    ['an object among texts', { ...plain, prompt: ['a', {}] }, 'prompt[1]'],
    ['a suffix that is none', { ...plain, suffix: 7 }, 'suffix'],
    ['n of zero', { ...plain, n: 0 }, 'n'],
    ['n of 129', { ...plain, n: 129 }, 'n'],
    ['best_of of 129', { ...plain, best_of: 129 }, 'best_of'],
    ['best_of as text', { ...plain, best_of: '2' }, 'best_of'],
    ['max_tokens below zero', { ...plain, max_tokens: -1 }, 'max_tokens'],
    ['half a token at most', { ...plain, max_tokens: 0.5 }, 'max_tokens'],
    ['echo as text', { ...plain, echo: 'yes' }, 'echo'],
    ['stream as text', { ...plain, stream: 'true' }, 'stream'],
    ['stream_options as a list', { ...plain, stream_options: [] }, 'stream_options'],
    [
      'include_usage as text',
      { ...plain, stream_options: { include_usage: 'x' } },
      'stream_options.include_usage',
    ],
    ['best_of twice', '{"model":"m","prompt":"a","best_of":1,"best_of":9}', 'best_of'],
    ['Best_Of', '{"model":"m","prompt":"a","Best_Of":9}', 'best_of'],
  ])('%s is refused, naming the member', (_, body, param) => {
    const refused = openaiCompletions.readRequest(callOf(body));
    expect(refused).toMatchObject({ kind: 'refused', code: 'REQUEST_INVALID' });
    expect('param' in refused ? refused.param : undefined).toBe(param);
  });

  test('members that nobody is known to take are named; those of open models are known', () => {
    expect(read({ ...plain, top_k: 4, guided_json: {}, suffix: 'x' }).unknownMember).toBeNull();
    for (const name of ['messages', 'tools', 'n_predict', 'models', 'max_completion_tokens']) {
      expect(read({ ...plain, [name]: [] }).unknownMember).toBe(name);
    }
  });
});

describe('the prompt', () => {
  test('is its texts, the text that follows what is filled in, and each token id as one token', () => {
    expect(read(plain).prompt()).toEqual({ texts: ['Once upon'], overhead: 0 });
    expect(read({ ...plain, prompt: ['a', [1, 2]], suffix: 'z' }).prompt()).toEqual({
      texts: ['a', 'z', 'z'],
      overhead: 2,
    });
    expect(read({ ...plain, prompt: null }).prompt()).toEqual({ texts: [], overhead: 1 });
  });

  test('has an estimate that grows with each prompt and with the suffix of each', () => {
    const text = 'lorem ipsum dolor sit amet '.repeat(100);
    const estimate = (members: object) => read({ ...plain, ...members }).estimatedInputTokens;
    const one = estimate({ prompt: text });
    expect(one).toBeGreaterThan(1_000);
    expect(estimate({ prompt: [text, text] })).toBeGreaterThan(1.9 * one);
    expect(estimate({ prompt: ['', ''], suffix: text })).toBeGreaterThan(1.9 * one);
    expect(estimate({ prompt: Array.from({ length: 500 }, () => 7) })).toBeGreaterThanOrEqual(500);
    expect(estimate({ guided_json: { description: text } })).toBeGreaterThan(1_000);
    expect(estimate({ response_format: { type: 'json_schema', json_schema: { text } } })).toBeGreaterThan(
      1_000,
    );
    expect(estimate({ metadata: { text } })).toBe(estimate({}));
  });

  test('knows no member that another server merges into the request, and none that names other models', () => {
    expect(read({ ...plain, extra_body: { n: 9 } }).unknownMember).toBe('extra_body');
    expect(read({ ...plain, options: { num_predict: 9 } }).unknownMember).toBe('options');
    expect(read({ ...plain, provider: { models: ['x'] } }).unknownMember).toBe('provider.models');
  });
});

describe('the body for an upstream', () => {
  test('without anything to change is the very buffer that came', () => {
    const call = callOf({ ...plain, stream: true, stream_options: { include_usage: true } });
    const request = openaiCompletions.readRequest(call);
    if (request.kind === 'refused') throw new Error(request.message);
    const changes = { model: plain.model, quirks: quirksOf('openai'), maxOutputTokens: null };
    expect(request.callFor(changes).body).toBe(call.body);
  });

  test('asks a stream for usage, and only a stream, and only who takes the option', () => {
    const stream = '{"model":"m","prompt":"a","stream":true}';
    expect(bodyFor(stream, { model: 'm' })).toBe(
      '{"model":"m","prompt":"a","stream":true,"stream_options":{"include_usage":true}}',
    );
    expect(bodyFor(stream, { model: 'm', provider: 'mistral' })).toBe(stream);
    expect(bodyFor(plain)).toBe(JSON.stringify(plain));
  });

  test('has a maximum that admission sets, under its only name, and never a higher one', () => {
    const provider = 'together';
    expect(JSON.parse(bodyFor(plain, { provider, max: 50 }))).toEqual({ ...plain, max_tokens: 50 });
    const capped = { ...plain, max_tokens: 90 };
    expect(JSON.parse(bodyFor(capped, { max: 50 }))).toEqual({ ...plain, max_tokens: 50 });
    expect(JSON.parse(bodyFor({ ...plain, max_tokens: 10 }, { max: 50 }))).toEqual({
      ...plain,
      max_tokens: 10,
    });
    expect(JSON.parse(bodyFor({ ...plain, max_tokens: null }, { provider, max: 50 }))).toEqual({
      ...plain,
      max_tokens: 50,
    });
    // OpenAI stops at 16 by itself.
    expect(bodyFor(plain, { max: 300 })).toBe(JSON.stringify(plain));
  });

  test("has the upstream's name of the model", () => {
    expect(bodyFor('{ "prompt": "a",  "model" : "public" }', { model: 'theirs' })).toBe(
      '{ "prompt": "a",  "model" : "theirs" }',
    );
  });
});
