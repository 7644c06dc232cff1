import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import type { DialectRequest } from '../dialect.ts';
import { readRequest } from './request.ts';

const plain = { model: 'gpt-5-mini', input: 'Hello' };

function read(body: unknown): DialectRequest {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const request = readRequest({ body: Buffer.from(text) });
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

function bodyFor(body: unknown, changes: { model?: string; max?: number } = {}): string {
  const { model, max = null } = changes;
  const request = read(body);
  const upstream = { model: model ?? request.model, quirks: quirksOf('openai'), maxOutputTokens: max };
  return request.callFor(upstream).body.toString();
}

describe('reading a request', () => {
  test('what matters for admission is read, and nothing is missed that is absent', () => {
    expect(read(plain)).toMatchObject({
      model: 'gpt-5-mini',
      stream: false,
      isFree: false,
      continues: null,
      maxOutputTokens: null,
      choices: 1,
      units: {},
      serviceTier: null,
      asksUsage: true,
      unknownMember: null,
    });
    const full = { ...plain, stream: true, max_output_tokens: 20, service_tier: 'flex', background: false };
    expect(read(full)).toMatchObject({ stream: true, maxOutputTokens: 20, serviceTier: 'flex' });
  });

  test('null is absent', () => {
    const nulls = {
      ...plain,
      stream: null,
      background: null,
      tools: null,
      conversation: null,
      prompt: null,
      max_output_tokens: null,
      previous_response_id: null,
    };
    expect(read(nulls)).toMatchObject({ stream: false, maxOutputTokens: null, continues: null, units: {} });
  });

  test.each([
    ['an answer', { previous_response_id: 'resp_1' }, 'resp_1'],
    ['a conversation by its id', { conversation: 'conv_1' }, 'conv_1'],
    ['a conversation as an object', { conversation: { id: 'conv_1' } }, 'conv_1'],
    ['a stored prompt', { prompt: { id: 'pmpt_1', variables: { name: 'Ada' } } }, 'pmpt_1'],
    [
      'an answer, with a stored prompt',
      { prompt: { id: 'pmpt_1' }, previous_response_id: 'resp_1' },
      'resp_1',
    ],
  ])('%s is gone on from, and needs no input', (_, members, continues) => {
    expect(read({ model: 'm', ...members })).toMatchObject({ continues });
    expect(read({ model: 'm', input: [], ...members })).toMatchObject({ continues });
  });

  test.each([
    ['no JSON', '{"model":', undefined],
    ['a list', '[]', undefined],
    ['no model', { input: 'x' }, 'model'],
    ['no input', { model: 'm' }, 'input'],
    ['an empty input', { ...plain, input: '' }, 'input'],
    ['no item', { ...plain, input: [] }, 'input'],
    ['an input that is an object', { ...plain, input: {} }, 'input'],
    ['an input that is a number', { ...plain, input: 7 }, 'input'],
    ['an item that is a text', { ...plain, input: [{}, 'Hello'] }, 'input[1]'],
    ['an item that is a list', { ...plain, input: [[]] }, 'input[0]'],
    ['instructions as a list', { ...plain, instructions: [] }, 'instructions'],
    ['stream as text', { ...plain, stream: 'true' }, 'stream'],
    ['background as text', { ...plain, background: 'true' }, 'background'],
    ['service_tier as a number', { ...plain, service_tier: 1 }, 'service_tier'],
    ['tools as an object', { ...plain, tools: {} }, 'tools'],
    ['max_tool_calls of zero', { ...plain, max_tool_calls: 0 }, 'max_tool_calls'],
    ['previous_response_id as an object', { ...plain, previous_response_id: {} }, 'previous_response_id'],
    ['a conversation without id', { ...plain, conversation: {} }, 'conversation'],
    ['a conversation as a number', { ...plain, conversation: 7 }, 'conversation'],
    ['a prompt without id', { ...plain, prompt: { version: '1' } }, 'prompt'],
    ['a prompt as text', { ...plain, prompt: 'pmpt_1' }, 'prompt'],
    ['max_output_tokens of zero', { ...plain, max_output_tokens: 0 }, 'max_output_tokens'],
    ['max_output_tokens of half', { ...plain, max_output_tokens: 1.5 }, 'max_output_tokens'],
    ['max_output_tokens as text', { ...plain, max_output_tokens: '5' }, 'max_output_tokens'],
    ['model twice', '{"model":"a","input":"x","model":"b"}', 'model'],
    ['tools twice, once in disguise', '{"model":"a","input":"x","tools":[],"\\u0074ools":[]}', 'tools'],
    ['Background', '{"model":"a","input":"x","Background":true}', 'background'],
    ['Max_Output_Tokens', '{"model":"a","input":"x","Max_Output_Tokens":1}', 'max_output_tokens'],
  ])('%s is refused, naming the member', (_, body, param) => {
    const refused = readRequest({
      body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    });
    expect(refused).toMatchObject({ kind: 'refused', code: 'REQUEST_INVALID' });
    expect(refused).toHaveProperty('message', expect.stringMatching(/\.$/));
    expect('param' in refused ? refused.param : undefined).toBe(param);
  });

  test('an answer that is generated in the background is refused: nobody would meter it', () => {
    const refused = readRequest({ body: Buffer.from(JSON.stringify({ ...plain, background: true })) });
    expect(refused).toMatchObject({
      code: 'REQUEST_INVALID',
      param: 'background',
      message: expect.stringContaining("can't meter it"),
    });
  });

  test('members that are not known, and nesting without end, are no reason to refuse', () => {
    const depth = 200_000;
    const nested = `${'[{"a":'.repeat(depth)}1${'}]'.repeat(depth)}`;
    const items = `{"role":"user","content":${nested}},{"type":"x","y":${nested}}`;
    const body = `{"model":"m","input":[${items}],"tools":${nested},"text":{"format":{"type":"json_schema","schema":${nested}}},"prompt":{"id":"p","variables":{"a":${nested}}},"whatever":{}}`;
    const request = read(body);
    expect(request.prompt().overhead).toBeGreaterThan(0);
    expect(bodyFor(body)).toBe(body);
  });
});

test('members that would have another model answer are named as unknown, and no others', () => {
  for (const name of ['models', 'route', 'fallbacks', 'preset']) {
    expect(read({ ...plain, [name]: ['another'] }).unknownMember).toBe(name);
    expect(read({ ...plain, [name]: null }).unknownMember).toBeNull();
  }
  expect(read({ ...plain, brand_new: 1, provider: { only: ['x'] } }).unknownMember).toBeNull();
});

describe('units of built-in tools, for the hold', () => {
  const unitsOf = (tools: unknown, others = {}) => {
    const request = read({ ...plain, tools, ...others });
    return { units: request.units, prompt: request.estimatedInputTokens };
  };

  test('each call fetches input, and has the model read its prompt again', () => {
    const { units, prompt } = unitsOf([{ type: 'web_search_preview_2025_03_11' }]);
    expect(units).toEqual({ web_search: 5, input: 5 * 6_000, cache_read: 5 * prompt });
  });

  test('there are no more calls than the client permits', () => {
    const { units, prompt } = unitsOf([{ type: 'web_search' }], { max_tool_calls: 2 });
    expect(units).toEqual({ web_search: 2, input: 2 * 6_000, cache_read: 2 * prompt });
  });

  test.each([
    [{ type: 'x_search' }, { web_search: 5 }],
    [
      { type: 'file_search', max_num_results: 3 },
      { file_search: 2, input: 2 * 3 * 800 },
    ],
    [
      { type: 'file_search', max_num_results: 0.5 },
      { file_search: 2, input: 2 * 20 * 800 },
    ],
    [{ type: 'code_interpreter', container: { type: 'auto' } }, { code_interpreter: 1 }],
    [{ type: 'code_interpreter' }, { code_interpreter: 5 }],
    [
      { type: 'code_interpreter', container: { type: 'auto', memory_limit: '4g' } },
      { code_interpreter: 4, input: 5_000 },
    ],
    [
      { type: 'code_interpreter', container: { type: 'auto', memory_limit: '64g' } },
      { code_interpreter: 64 },
    ],
    [{ type: 'code_interpreter', container: 'cntr_1' }, { code_interpreter: 1 }],
    [
      { type: 'shell', environment: { type: 'container_auto' } },
      { code_interpreter: 1, input: 5_000 },
    ],
    [
      { type: 'shell', environment: { type: 'container_auto', memory_limit: '16g' } },
      { code_interpreter: 16 },
    ],
    [
      { type: 'image_generation', quality: 'low' },
      { output_image: 2 * 408, input: 2 * 4_500 },
    ],
    [{ type: 'image_generation', quality: '__proto__' }, { output_image: 2 * 6_240 }],
    [{ type: 'image_generation', partial_images: 3 }, { output_image: 2 * 6_540 }],
    [
      { type: 'image_generation', input_fidelity: 'high' },
      { output_image: 2 * 6_240, input: 2 * 16_980 },
    ],
    [{ type: 'mcp', server_label: 'x' }, { input: 20_000 }],
  ])('%j has its own', (tool, expected) => {
    expect(unitsOf([tool]).units).toMatchObject(expected);
  });

  test('functions, tools that the client runs and unknown ones have none, and units are whole numbers', () => {
    const tools = [
      { type: 'function', name: 'f' },
      { type: 'shell' },
      { type: 'shell', environment: { type: 'local' } },
      { type: 'unheard_of' },
      7,
      { type: 7 },
    ];
    expect(unitsOf(tools).units).toEqual({});
    const odd = unitsOf([{ type: 'file_search', max_num_results: 1e300 }, { type: 'web_search' }]).units;
    expect(Object.values(odd).every((count) => Number.isSafeInteger(count))).toBe(true);
  });
});

test('the models of its images are other models that the key has to permit', () => {
  const named = { type: 'image_generation', model: 'gpt-image-2' };
  expect(read({ ...plain, tools: [named, named] }).otherModels).toEqual(['gpt-image-2']);
  expect(read({ ...plain, tools: [{ type: 'image_generation' }, named] }).otherModels).toEqual([
    'gpt-image-1',
    'gpt-image-2',
  ]);
  expect(read({ ...plain, tools: [{ type: 'mcp', model: 'x' }, 7] }).otherModels).toEqual([]);
  expect(read(plain).otherModels).toEqual([]);
});

describe('what stands in the prompt by its name only', () => {
  test('is held for by a bound of each, and of all together', () => {
    const unitsOf = (...input: object[]) => read({ ...plain, input }).units;
    expect(unitsOf({ type: 'item_reference', id: 'msg_1' })).toEqual({ input: 16_000 });
    expect(unitsOf({ id: 'msg_1' }, { id: 'msg_2', type: null })).toEqual({ input: 32_000 });
    expect(unitsOf(...Array.from({ length: 500 }, () => ({ id: 'msg_1' })))).toEqual({ input: 128_000 });
    expect(unitsOf({ id: 'msg_1', role: 'user', content: 'Hi' }, {})).toEqual({});
  });

  test('is read again after each call of a tool', () => {
    const request = read({ ...plain, input: [{ id: 'msg_1' }], tools: [{ type: 'web_search' }] });
    expect(request.units.cache_read).toBe(5 * (request.estimatedInputTokens + 16_000));
  });

  test('a stored prompt beside what is gone on from has a bound of its own', () => {
    const prompt = { id: 'pmpt_1' };
    expect(read({ ...plain, prompt }).units).toEqual({});
    expect(read({ ...plain, prompt, previous_response_id: 'resp_1' }).units).toEqual({ input: 16_000 });
    expect(read({ ...plain, prompt, conversation: 'conv_1' }).units).toEqual({ input: 16_000 });
  });
});

describe('the call of an upstream', () => {
  test('without anything to change its body is the very buffer that came', () => {
    const body = Buffer.from(JSON.stringify({ ...plain, stream: true, max_output_tokens: 5 }));
    const request = readRequest({ body });
    if (request.kind === 'refused') throw new Error(request.message);
    const call = request.callFor({ model: plain.model, quirks: quirksOf('openai'), maxOutputTokens: null });
    expect(call.path).toBe('/responses');
    expect(call.body).toBe(body);
  });

  test("the model's name is the upstream's", () => {
    expect(bodyFor('{ "input": "x",  "model" : "gpt" }', { model: 'vendor/"gpt"' })).toBe(
      '{ "input": "x",  "model" : "vendor/\\"gpt\\"" }',
    );
  });

  test("a maximum that admission sets is written, lowers the client's own, and never raises it", () => {
    expect(bodyFor('{"model":"m","input":"x"}', { max: 50 })).toBe(
      '{"model":"m","input":"x","max_output_tokens":50}',
    );
    expect(JSON.parse(bodyFor({ ...plain, max_output_tokens: null }, { max: 50 })).max_output_tokens).toBe(
      50,
    );
    expect(JSON.parse(bodyFor({ ...plain, max_output_tokens: 90 }, { max: 50 })).max_output_tokens).toBe(50);
    expect(JSON.parse(bodyFor({ ...plain, max_output_tokens: 10 }, { max: 50 })).max_output_tokens).toBe(10);
  });

  test('an answer is a stream by what upstream says, or by what was asked for', () => {
    expect(read(plain).isStreamed('text/event-stream; charset=utf-8')).toBe(true);
    expect(read(plain).isStreamed('application/json')).toBe(false);
    expect(read({ ...plain, stream: true }).isStreamed('')).toBe(true);
  });
});
