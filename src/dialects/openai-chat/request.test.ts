import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import type { ClientCall, DialectRequest } from '../dialect.ts';
import { readRequest } from './request.ts';

const plain = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] };

function callOf(body: unknown): ClientCall {
  const bytes = Buffer.isBuffer(body)
    ? body
    : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return { path: '/v1/chat/completions', query: new URLSearchParams(), body: bytes };
}

function read(body: unknown): DialectRequest {
  const request = readRequest(callOf(body));
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

function bodyFor(body: unknown, changes: { model?: string; provider?: string; max?: number } = {}): string {
  const { model, provider = 'openai', max = null } = changes;
  const request = read(body);
  const call = request.callFor({
    model: model ?? request.model,
    quirks: quirksOf(provider),
    maxOutputTokens: max,
  });
  expect(call.path).toBe('/chat/completions');
  return call.body.toString();
}

describe('reading a request', () => {
  test('what matters for admission is read, and nothing is missed that is absent', () => {
    expect(read(plain)).toMatchObject({
      model: 'gpt-4o-mini',
      stream: false,
      maxOutputTokens: null,
      choices: 1,
      asksUsage: false,
    });
    const full = {
      ...plain,
      stream: true,
      stream_options: { include_usage: true },
      n: 3,
      max_tokens: 10,
      max_completion_tokens: 20,
    };
    expect(read(full)).toMatchObject({ stream: true, maxOutputTokens: 20, choices: 3, asksUsage: true });
  });

  test('null is absent', () => {
    const nulls = {
      ...plain,
      stream: null,
      stream_options: null,
      n: null,
      max_tokens: null,
      max_completion_tokens: null,
    };
    expect(read(nulls)).toMatchObject({ stream: false, maxOutputTokens: null, choices: 1 });
  });

  test.each([
    ['no JSON', '{"model":', undefined],
    ['nothing at all', '', undefined],
    ['a list', '[]', undefined],
    ['a number', '7', undefined],
    ['null', 'null', undefined],
    ['no model', { messages: plain.messages }, 'model'],
    ['an empty model', { ...plain, model: ' ' }, 'model'],
    ['a model that is a number', { ...plain, model: 4 }, 'model'],
    ['no messages', { model: 'm' }, 'messages'],
    ['no message', { ...plain, messages: [] }, 'messages'],
    ['messages that are a text', { ...plain, messages: 'Hello' }, 'messages'],
    ['a message that is a text', { ...plain, messages: [{}, 'Hello'] }, 'messages[1]'],
    ['a message that is a list', { ...plain, messages: [[]] }, 'messages[0]'],
    ['stream as text', { ...plain, stream: 'true' }, 'stream'],
    ['stream_options as a list', { ...plain, stream_options: [] }, 'stream_options'],
    [
      'include_usage as a number',
      { ...plain, stream: true, stream_options: { include_usage: 1 } },
      'stream_options.include_usage',
    ],
    ['n of zero', { ...plain, n: 0 }, 'n'],
    ['n of half', { ...plain, n: 1.5 }, 'n'],
    ['n of 129', { ...plain, n: 129 }, 'n'],
    ['n as text', { ...plain, n: '2' }, 'n'],
    ['max_tokens of zero', { ...plain, max_tokens: 0 }, 'max_tokens'],
    ['max_tokens below zero', { ...plain, max_tokens: -5 }, 'max_tokens'],
    ['max_tokens as text', { ...plain, max_tokens: '5' }, 'max_tokens'],
    [
      'max_completion_tokens beyond all bounds',
      { ...plain, max_completion_tokens: 1e300 },
      'max_completion_tokens',
    ],
    ['model twice', '{"model":"a","messages":[{}],"model":"b"}', 'model'],
    ['n twice, once in disguise', '{"model":"a","messages":[{}],"n":1,"\\u006e":128}', 'n'],
    ['Max_Tokens', '{"model":"a","messages":[{}],"Max_Tokens":1}', 'max_tokens'],
    [
      'include_usage twice',
      '{"model":"a","messages":[{}],"stream_options":{"include_usage":true,"include_usage":false}}',
      'include_usage',
    ],
  ])('%s is refused, naming the member', (_, body, param) => {
    const refused = readRequest(callOf(body));
    expect(refused).toMatchObject({ kind: 'refused', code: 'REQUEST_INVALID' });
    expect(refused).toHaveProperty('message', expect.stringMatching(/\.$/));
    expect('param' in refused ? refused.param : undefined).toBe(param);
  });

  test('bytes that are no UTF-8 are refused', () => {
    const body = Buffer.from('{"model":"\xff","messages":[{}]}', 'latin1');
    expect(readRequest(callOf(body))).toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('UTF-8'),
    });
  });

  test('members that are not known, and nesting without end, are no reason to refuse', () => {
    const depth = 200_000;
    const nested = `${'[{"a":'.repeat(depth)}1${'}]'.repeat(depth)}`;
    const body = `{"model":"m","messages":[{"role":"user","content":"x","extra":${nested}}],"tools":${nested},"response_format":{"json_schema":{"schema":${nested}}},"whatever":{}}`;
    const request = read(body);
    expect(request.prompt().overhead).toBeGreaterThan(0);
    expect(bodyFor(body)).toBe(body);
  });
});

describe('the body for an upstream', () => {
  test('without anything to change it is the very buffer that came', () => {
    const body = Buffer.from(
      JSON.stringify({ ...plain, stream: true, stream_options: { include_usage: true } }),
    );
    const changes = { model: plain.model, quirks: quirksOf('openai'), maxOutputTokens: null };
    expect(read(body).callFor(changes).body).toBe(body);
  });

  test("the model's name is the upstream's", () => {
    const body = '{ "messages": [{"role":"user"}],  "model" : "gpt" }';
    expect(bodyFor(body, { model: 'vendor/"gpt"' })).toBe(
      '{ "messages": [{"role":"user"}],  "model" : "vendor/\\"gpt\\"" }',
    );
  });

  test.each([
    [
      'absent',
      '{"model":"m","messages":[{}],"stream":true}',
      '{"model":"m","messages":[{}],"stream":true,"stream_options":{"include_usage":true}}',
    ],
    [
      'null',
      '{"model":"m","stream_options":null,"messages":[{}],"stream":true}',
      '{"model":"m","stream_options":{"include_usage":true},"messages":[{}],"stream":true}',
    ],
    [
      'false',
      '{"model":"m","stream_options":{ "include_usage" : false, "x":1.0 },"messages":[{}],"stream":true}',
      '{"model":"m","stream_options":{ "include_usage" : true, "x":1.0 },"messages":[{}],"stream":true}',
    ],
    [
      'with other options only',
      '{"model":"m","stream_options":{"include_obfuscation":false},"messages":[{}],"stream":true}',
      '{"model":"m","stream_options":{"include_obfuscation":false,"include_usage":true},"messages":[{}],"stream":true}',
    ],
  ])('a stream is asked for usage where the option is %s', (_, body, expected) => {
    expect(bodyFor(body)).toBe(expected);
  });

  test('usage is not asked of what is no stream, nor of a provider that refuses the option', () => {
    expect(bodyFor(plain)).toBe(JSON.stringify(plain));
    const stream = { ...plain, stream: true };
    expect(bodyFor(stream, { provider: 'mistral' })).toBe(JSON.stringify(stream));
    expect(bodyFor(stream, { provider: 'nobody-knows' })).toContain('"include_usage":true');
  });

  test.each([
    ['openai', 'max_completion_tokens'],
    ['Azure', 'max_completion_tokens'],
    ['groq', 'max_tokens'],
    ['mistral', 'max_tokens'],
    ['nobody-knows', 'max_tokens'],
  ])('a maximum that admission sets is written for %s as %s', (provider, name) => {
    expect(JSON.parse(bodyFor(plain, { provider, max: 50 }))).toEqual({ ...plain, [name]: 50 });
  });

  test("a maximum lowers the client's own where it stands, and never raises it", () => {
    const both = { ...plain, max_tokens: 10, max_completion_tokens: 90 };
    expect(JSON.parse(bodyFor(both, { max: 50 }))).toEqual({ ...both, max_completion_tokens: 50 });
    expect(JSON.parse(bodyFor({ ...plain, max_tokens: 90 }, { max: 50 }))).toEqual({
      ...plain,
      max_tokens: 50,
    });
    expect(JSON.parse(bodyFor({ ...plain, max_tokens: null }, { max: 50, provider: 'groq' }))).toEqual({
      ...plain,
      max_tokens: 50,
    });
  });
});

describe('the prompt as text to count', () => {
  test('three a message, one for a name, three for the answer; roles and contents as texts', () => {
    const { texts, overhead } = read({
      ...plain,
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          name: 'Ada',
          content: [
            { type: 'text', text: 'One' },
            { type: 'image_url', image_url: { url: 'data:…' } },
          ],
        },
        { role: 'assistant', content: null, refusal: null },
      ],
    }).prompt();
    expect(texts).toEqual(['system', 'Be brief.', 'user', 'Ada', 'One', 'assistant']);
    expect(overhead).toBe(3 * 3 + 1 + 3);
  });

  test('tool calls, tool definitions and a schema for the answer are part of it', () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'find', arguments: '{"q":1}' } };
    const parameters = {
      type: 'object',
      required: ['q'],
      properties: {
        q: { type: ['string', 'null'], description: 'what to find' },
        kind: { enum: ['a', 'b'] },
        where: { type: 'array', items: { type: 'object', properties: { place: { type: 'integer' } } } },
        odd: { anyOf: [{ type: 'string' }, { $ref: '#/x' }] },
      },
    };
    const { texts } = read({
      ...plain,
      messages: [
        { role: 'assistant', tool_calls: [call, 'junk'] },
        { role: 'tool', tool_call_id: 'call_1', content: 'found' },
      ],
      tools: [{ type: 'function', function: { name: 'find', description: 'Finds.', parameters } }],
      functions: [{ name: 'legacy', parameters: { required: 7, properties: 7 } }],
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } },
    }).prompt();
    expect(texts.slice(0, 5)).toEqual(['assistant', 'find', '{"q":1}', 'tool', 'found']);
    expect(texts[5]).toBe(
      [
        'namespace functions {',
        '',
        '// Finds.',
        'type find = (_: {',
        '// what to find',
        'q: string | null,',
        'kind?: "a" | "b",',
        'where?: {',
        '   place?: number,',
        ' }[],',
        'odd?: string | any,',
        '}) => any;',
        '',
        'type legacy = () => any;',
        '',
        '} // namespace functions',
      ].join('\n'),
    );
    expect(texts[6]).toContain('{"type":"object"}');
  });

  test('definitions that nest without end are rendered as deep as anyone would go', () => {
    const depth = 50_000;
    const schema = `${'{"type":"array","items":'.repeat(depth)}{}${'}'.repeat(depth)}`;
    const tool = `{"function":{"name":"deep","parameters":{"properties":{"x":${schema}}}}}`;
    const request = read(`{"model":"m","messages":[{}],"tools":[${tool}]}`);
    expect(request.prompt().texts.at(-1)).toContain('x?: any[][]');
  });
});
