import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { exchange, type RawRequest } from './raw-client.ts';
import { type Simulator, startSimulator } from './simulator.ts';

let simulator: Simulator;
let client: OpenAI;
beforeAll(async () => {
  simulator = await startSimulator({ seed: 'tests' });
  client = new OpenAI({ baseURL: simulator.url, apiKey: 'any', maxRetries: 0 });
});
afterAll(() => simulator.close());

const instant = 'sim-small?ttfb_ms=0&tokens_per_second=0';
const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Tell me of rivers.' }];
/** Three for the message, one for the role, three before the answer. */
const promptTokens = 7 + countTokens('Tell me of rivers.');
const tools: OpenAI.ChatCompletionTool[] = [
  {
    type: 'function',
    function: {
      name: 'find_river',
      parameters: { type: 'object', properties: { name: { type: 'string' }, miles: { type: 'integer' } } },
    },
  },
  { type: 'function', function: { name: 'find_lake' } },
];

const post = (body: RawRequest['body'], headers: Record<string, string> = {}) =>
  exchange(simulator.url, { body: body ?? '', headers });

describe('the same seed and request', () => {
  const bodies = [
    { model: instant, messages },
    { model: instant, messages, stream: true, n: 2, stream_options: { include_usage: true } },
    { model: `${instant}&tool_calls=2&reasoning=5`, messages, stream: true, tools },
    { model: `${instant}&fault=split_bytes,junk_bytes`, messages, stream: true },
    { model: `${instant}&fault=split_bytes`, messages },
    { model: '', messages },
  ];

  test.each(bodies)('give the same bytes, headers included: %j', async (body) => {
    const again = await startSimulator({ seed: 'tests' });
    const first = await post(body);
    // Only the clock's reading is another: timers go on.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2030, 0, 1) });
    const second = await exchange(again.url, { body });
    vi.useRealTimers();
    await again.close();
    expect(first.headers).not.toHaveProperty('date');
    expect(first.raw.length).toBeGreaterThan(100);
    expect(second.raw.equals(first.raw)).toBe(true);
  });

  test('another seed, or another request, gives another answer', async () => {
    const other = await startSimulator({ seed: 'other' });
    const body = { model: instant, messages };
    const first = await post(body);
    expect((await exchange(other.url, { body })).body.equals(first.body)).toBe(false);
    expect((await post({ ...body, user: 'x' })).body.equals(first.body)).toBe(false);
    await other.close();
  });
});

describe('a request that OpenAI would refuse', () => {
  const ask = (request: RawRequest) => exchange(simulator.url, request);
  const body = { model: instant, messages };

  test.each<[string, RawRequest, number, string | null, string]>([
    [
      'with the bad key',
      { body, headers: { authorization: 'Bearer bad-key' } },
      401,
      'invalid_api_key',
      'Incorrect API key',
    ],
    ['to an unknown path', { body, path: '/v1/nothing' }, 404, null, 'Invalid URL (POST /v1/nothing)'],
    [
      'by the wrong method',
      { method: 'GET' },
      405,
      'method_not_supported',
      'Not allowed to GET on /v1/chat/completions.',
    ],
    ['that is no JSON', { body: '{' }, 400, null, 'We could not parse'],
    [
      'with an argument that is unknown',
      { body: { ...body, top_k: 1 } },
      400,
      null,
      'Unrecognized request argument supplied: top_k',
    ],
    [
      'with a bad directive',
      { body: { model: 'sim?speed=1', messages } },
      400,
      'invalid_directive',
      "'speed'",
    ],
    ['with a bad header', { body, headers: { 'x-sim-after': 'x' } }, 400, 'invalid_directive', "'after=x'"],
    [
      'with a prompt beyond the context',
      { body: { model: `${instant}&context_tokens=11`, messages } },
      400,
      'context_length_exceeded',
      "This model's maximum context length is 11 tokens. However, your messages resulted in at least 12 tokens.",
    ],
    ['that is too large', { body: 'x'.repeat(32 * 1024 * 1024 + 1) }, 413, null, 'larger than'],
  ])('%s is refused in its shape', async (_, request, status, code, message) => {
    const response = await ask(request);
    expect(response.status).toBe(status);
    expect(response.headers['content-type']).toBe('application/json');
    const { error } = JSON.parse(response.body.toString());
    expect(error).toEqual({
      message: expect.any(String),
      type: 'invalid_request_error',
      param: error.param,
      code,
    });
    expect(error.message).toContain(message);
    expect(simulator.requests.last).toMatchObject({ outcome: 'refused', status, tokensSent: 0 });
  });

  test('raises the typed errors of the official client', async () => {
    const stranger = new OpenAI({ baseURL: simulator.url, apiKey: 'bad-key', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    const fail = (fault: string) =>
      client.chat.completions.create({ model: `${instant}&fault=${fault}`, messages });
    await expect(fail('refuse_400')).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(fail('refuse_429')).rejects.toBeInstanceOf(OpenAI.RateLimitError);
    await expect(fail('refuse_500')).rejects.toBeInstanceOf(OpenAI.InternalServerError);
  });
});

test('the models are listed, and any other name is served too', async () => {
  const { data } = await client.models.list();
  expect(data.map(({ id }) => id)).toEqual(['sim-small', 'sim-large', 'sim-reasoning']);
  const other = await client.chat.completions.create({
    model: 'gpt-any?ttfb_ms=0&tokens_per_second=0',
    messages,
  });
  expect(other.model).toBe('gpt-any');
});

test('what was received is kept as it came', async () => {
  simulator.requests.clear();
  const body = JSON.stringify({ model: `${instant}&tokens=4`, messages, stream: true });
  const { body: sent } = await post(body, { 'x-probe': 'yes' });
  expect(simulator.requests).toMatchObject({ count: 1, completed: 1, open: 0, eventsSent: 7, tokensSent: 4 });
  expect(simulator.requests.recent).toHaveLength(1);
  expect(simulator.requests.last).toMatchObject({
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { 'x-probe': 'yes' },
    body,
    model: `${instant}&tokens=4`,
    status: 200,
    outcome: 'completed',
    bytesSent: sent.length,
    eventsSent: 7,
    tokensSent: 4,
    usage: { promptTokens, completionTokens: 4 },
  });
});
