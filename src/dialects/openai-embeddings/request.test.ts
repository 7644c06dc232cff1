import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import type { ClientCall, DialectRequest } from '../dialect.ts';
import { openaiEmbeddings } from './index.ts';

const plain = { model: 'text-embedding-3-small', input: 'Hello' };

function callOf(body: unknown): ClientCall {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { path: '/v1/embeddings', query: new URLSearchParams(), body: Buffer.from(text) };
}

function read(body: unknown): DialectRequest {
  const request = openaiEmbeddings.readRequest(callOf(body));
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

describe('reading a request', () => {
  test('nothing is generated, one answer is given, and it is never a stream', () => {
    expect(read(plain)).toMatchObject({
      model: 'text-embedding-3-small',
      stream: false,
      maxOutputTokens: 0,
      choices: 1,
      units: {},
      isFree: false,
      unknownMember: null,
    });
    expect(read({ ...plain, stream: true }).isStreamed('text/event-stream')).toBe(false);
  });

  test.each([
    ['a text', 'Hello', ['Hello'], 0],
    ['an empty text', '', [''], 0],
    ['texts', ['Hello', 'world'], ['Hello', 'world'], 0],
    ['token ids', [9642, 0, 7], [], 3],
    ['lists of token ids', [[9642], [8134, 1]], [], 3],
    ['texts beside token ids', ['Hello', [1, 2]], ['Hello'], 2],
    ['a text with an image', [{ text: 'Hello' }, { image: 'https://example.org/a.png' }], ['Hello'], 0],
    ['parts', [{ content: [{ type: 'text', text: 'Hello' }, null, { type: 'image_url' }] }], ['Hello'], 0],
  ])('the prompt of %s is its texts, and each token id is exactly one token', (_, input, texts, overhead) => {
    expect(read({ ...plain, input }).prompt()).toEqual({ texts, overhead });
  });

  test.each([
    ['no JSON', '{"input":', undefined],
    ['no model', { input: 'Hello' }, 'model'],
    ['no input', { model: 'm' }, 'input'],
    ['input null', { ...plain, input: null }, 'input'],
    ['no inputs', { ...plain, input: [] }, 'input'],
    ['a number', { ...plain, input: 7 }, 'input'],
    ['half a token', { ...plain, input: [1, 1.5] }, 'input[0]'],
    ['a token below zero', { ...plain, input: [[1], [-1]] }, 'input[1]'],
    ['an empty list of token ids', { ...plain, input: [[1], []] }, 'input[1]'],
    ['lists in lists of lists', { ...plain, input: [[[1]]] }, 'input[0]'],
    ['null among texts', { ...plain, input: ['Hello', null] }, 'input[1]'],
    ['input twice', '{"model":"m","input":"a","input":"b"}', 'input'],
    ['Input', '{"model":"m","input":"a","Input":"b"}', 'input'],
  ])('%s is refused, naming the member', (_, body, param) => {
    const refused = openaiEmbeddings.readRequest(callOf(body));
    expect(refused).toMatchObject({ kind: 'refused', code: 'REQUEST_INVALID' });
    expect('param' in refused ? refused.param : undefined).toBe(param);
  });

  test('nesting without end is refused or read, and brings nothing down', () => {
    const deep = (open: string, close: string) => `${open.repeat(200_000)}1${close.repeat(200_000)}`;
    expect(openaiEmbeddings.readRequest(callOf(`{"model":"m","input":${deep('[', ']')}}`)).kind).toBe(
      'refused',
    );
    const parts = read(`{"model":"m","input":{"a":${deep('[{"b":', '}]')}}}`);
    expect(Number.isSafeInteger(parts.estimatedInputTokens)).toBe(true);
    expect(parts.prompt()).toEqual({ texts: [], overhead: 0 });
  });
});

describe('the estimate', () => {
  const text = 'lorem ipsum dolor sit amet '.repeat(100);
  const estimate = (input: unknown) => read({ ...plain, input }).estimatedInputTokens;

  test('is of all inputs together, each with what marks its start and end', () => {
    expect(estimate([text, text])).toBeGreaterThan(1.9 * estimate(text));
    expect(estimate(Array.from({ length: 1_000 }, () => ''))).toBeGreaterThanOrEqual(2_000);
  });

  test('takes token ids as they are', () => {
    expect(estimate(Array.from({ length: 1_000 }, (_, id) => id))).toBe(1_000);
    expect(estimate([[1, 2, 3], [4]])).toBe(4);
  });

  test('reads the texts of parts, and bounds an image by the image and not by its bytes', () => {
    expect(estimate([{ content: [{ type: 'text', text }] }])).toBeGreaterThan(1_000);
    const image = (bytes: number) => estimate([{ image: `data:image/png;base64,${'A'.repeat(bytes)}` }]);
    expect(image(10)).toBe(image(1_000_000));
    expect(image(10)).toBeGreaterThan(1_000);
    expect(estimate([{ images: ['a', 'b', 'c'] }])).toBeGreaterThan(2 * image(1));
  });
});

describe('the request for an upstream', () => {
  const changes = { model: plain.model, quirks: quirksOf('openai'), maxOutputTokens: null };

  test("differs in the model's name alone, and without it is the very buffer that came", () => {
    const body = '{ "input": ["a"],  "model" : "public", "dimensions": 2.0, "input_type":"query" }';
    const sent = read(body).callFor({ ...changes, model: 'theirs' });
    expect(sent.path).toBe('/embeddings');
    expect(sent.body.toString()).toBe(body.replace('"public"', '"theirs"'));
    const call = callOf(plain);
    const request = openaiEmbeddings.readRequest(call);
    if (request.kind === 'refused') throw new Error(request.message);
    expect(request.callFor(changes).body).toBe(call.body);
  });

  test('is never given a maximum', () => {
    expect(
      JSON.parse(
        read(plain)
          .callFor({ ...changes, maxOutputTokens: 5 })
          .body.toString(),
      ),
    ).toEqual(plain);
  });
});
