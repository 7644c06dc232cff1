import Anthropic from '@anthropic-ai/sdk';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventData, exchange } from '../raw-client.ts';
import { type Simulator, startSimulator } from '../simulator.ts';

let simulator: Simulator;
let client: Anthropic;
beforeAll(async () => {
  simulator = await startSimulator({ seed: 'messages' });
  client = new Anthropic({ baseURL: simulator.origin, apiKey: 'any', maxRetries: 0 });
});
afterAll(() => simulator.close());

const instant = 'sim-small?ttfb_ms=0&tokens_per_second=0';
const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'Tell me of rivers.' }];
const promptTokens = 7 + countTokens('Tell me of rivers.');
const tools: Anthropic.Tool[] = [
  {
    name: 'find_river',
    input_schema: { type: 'object', properties: { name: { type: 'string' }, miles: { type: 'integer' } } },
  },
];
type Asked = Partial<Omit<Anthropic.MessageCreateParamsNonStreaming, 'model' | 'stream'>>;

const paramsOf = (directives: string, asked: Asked) => ({
  model: `${instant}${directives}`,
  messages,
  max_tokens: 4000,
  ...asked,
});
const create = (directives = '', asked: Asked = {}) => client.messages.create(paramsOf(directives, asked));

async function stream(directives = '', asked: Asked = {}) {
  const events: Anthropic.MessageStreamEvent[] = [];
  const params = { ...paramsOf(directives, asked), stream: true } as const;
  for await (const event of await client.messages.create(params)) events.push(event);
  return events;
}

describe('a message', () => {
  test('has the text and the usage of prompt and text', async () => {
    const message = await create('&tokens=30');
    expect(message).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'end_turn' });
    const [block] = message.content;
    expect(countTokens(block?.type === 'text' ? block.text : '')).toBe(30);
    expect(message.usage).toMatchObject({
      input_tokens: promptTokens,
      output_tokens: 30,
      cache_read_input_tokens: 0,
      cache_creation_input_tokens: 0,
      service_tier: 'standard',
    });
  });

  test('is streamed in the order of Anthropic, with a ping, from a small count to the whole', async () => {
    const model = `${instant}&tokens=2`;
    const { body } = await exchange(simulator.url, {
      path: '/v1/messages',
      headers: { 'anthropic-version': '2023-06-01' },
      body: { ...paramsOf('', {}), model, stream: true },
    });
    const events = eventData(body).map((data) => JSON.parse(data));
    expect(events.map(({ type }) => type)).toEqual([
      'message_start',
      'content_block_start',
      'ping',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    const named = [...body.toString().matchAll(/^event: (.*)$/gm)].map(([, type]) => type);
    expect(named).toEqual(events.map(({ type }) => type));
    expect(events[0].message).toMatchObject({
      content: [],
      stop_reason: null,
      usage: { input_tokens: promptTokens, output_tokens: 1 },
    });
    expect(events[6]).toMatchObject({
      delta: { stop_reason: 'end_turn' },
      usage: { input_tokens: promptTokens, output_tokens: 2 },
    });
  });

  test('is put together by the client as it would have come whole', async () => {
    const runner = client.messages.stream(paramsOf('&tokens=20&reasoning=10', { tools: [] }));
    const message = await runner.finalMessage();
    expect(message.content.map(({ type }) => type)).toEqual(['thinking', 'text']);
    expect(message.usage).toMatchObject({ input_tokens: promptTokens, output_tokens: 30 });
    expect(simulator.requests.last).toMatchObject({ outcome: 'completed', tokensSent: 30 });
  });

  test('ends where the maximum cuts it', async () => {
    const message = await create('&tokens=100', { max_tokens: 10 });
    expect(message).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 10 } });
    const events = await stream('&tokens=100', { max_tokens: 10 });
    expect(events.at(-2)).toMatchObject({
      delta: { stop_reason: 'max_tokens' },
      usage: { output_tokens: 10 },
    });
  });

  test('declines with a reason of its own', async () => {
    expect(await create('&refusal=true')).toMatchObject({ stop_reason: 'refusal' });
  });

  test('is JSON of the schema that was asked for', async () => {
    const schema = { type: 'object', properties: { rivers: { type: 'array', items: { type: 'string' } } } };
    const { content } = await create('', { output_config: { format: { type: 'json_schema', schema } } });
    const [block] = content;
    expect(JSON.parse(block?.type === 'text' ? block.text : '')).toEqual({ rivers: [expect.any(String)] });
  });

  test('reports what a cache had and took, outside of the input tokens', async () => {
    const cached = '&cached_tokens=3&cache_write_tokens=2&cache_write_1h_tokens=4';
    const counts = {
      input_tokens: promptTokens - 9,
      cache_read_input_tokens: 3,
      cache_creation_input_tokens: 6,
    };
    const split = { ephemeral_5m_input_tokens: 2, ephemeral_1h_input_tokens: 4 };
    expect((await create(cached)).usage).toMatchObject({ ...counts, cache_creation: split });
    const events = await stream(cached);
    expect(events[0]).toMatchObject({ message: { usage: { ...counts, cache_creation: split } } });
    expect(events.at(-2)).toMatchObject({ usage: counts });
    // A cache never has more than the prompt.
    const { usage } = await create('&cached_tokens=9000&cache_write_tokens=9000');
    expect(usage).toMatchObject({ input_tokens: 0, cache_read_input_tokens: promptTokens });
    expect(usage.cache_creation_input_tokens).toBe(0);
    const written = await create('&cache_write_tokens=9000&cache_write_1h_tokens=9000');
    expect(written.usage).toMatchObject({
      input_tokens: 0,
      cache_creation_input_tokens: promptTokens,
      cache_creation: { ephemeral_5m_input_tokens: promptTokens, ephemeral_1h_input_tokens: 0 },
    });
  });
});

describe('thinking', () => {
  test('comes first, with a signature, where it is turned on, by the model or by a directive', async () => {
    const thinking = { type: 'enabled', budget_tokens: 1024 } as const;
    for (const [directives, asked, tokens] of [
      ['', { thinking }, 48],
      ['&reasoning=20', { thinking }, 20],
      ['&reasoning=20', {}, 20],
    ] as const) {
      const { content, usage } = await create(`&tokens=5${directives}`, asked);
      const [block] = content;
      expect(block).toMatchObject({ type: 'thinking', signature: expect.stringMatching(/.+/) });
      expect(countTokens(block?.type === 'thinking' ? block.thinking : '')).toBe(tokens);
      expect(usage).toMatchObject({
        output_tokens: tokens + 5,
        output_tokens_details: { thinking_tokens: tokens },
      });
    }
  });

  test('is counted unseen where it is hidden', async () => {
    const { content, usage } = await create('&reasoning=9&tokens=4&reasoning_field=hidden');
    expect(content.map(({ type }) => type)).toEqual(['redacted_thinking', 'text']);
    expect(usage.output_tokens).toBe(13);
    expect(simulator.requests.last).toMatchObject({ tokensSent: 4 });
  });

  test('that takes all of the maximum leaves no text', async () => {
    const { content, stop_reason: reason } = await create('&reasoning=50', { max_tokens: 20 });
    expect(content.map(({ type }) => type)).toEqual(['thinking']);
    expect(reason).toBe('max_tokens');
  });
});

describe('tools', () => {
  test('are used with an input of their schema, whole and in deltas', async () => {
    const { content, stop_reason: reason, usage } = await create('&tool_calls=2', { tools });
    expect(reason).toBe('tool_use');
    const uses = content.filter((block) => block.type === 'tool_use');
    expect(uses).toHaveLength(2);
    expect(uses[0]!.input).toEqual({ name: expect.any(String), miles: expect.any(Number) });
    expect(usage.output_tokens).toBe(
      uses.reduce((sum, { input }) => sum + countTokens(JSON.stringify(input)), 0),
    );
    const message = await client.messages.stream(paramsOf('&tool_calls=2', { tools })).finalMessage();
    expect(message.content).toMatchObject([
      { type: 'tool_use', input: { name: expect.any(String) } },
      { type: 'tool_use' },
    ]);
  });

  test('are used once where one after the other was asked for', async () => {
    const { content } = await create('&tool_calls=2', {
      tools,
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
    });
    expect(content).toHaveLength(1);
  });

  test.each<[string, Asked]>([
    ['forbidden', { tools, tool_choice: { type: 'none' } }],
    [
      'behind a result',
      {
        tools,
        messages: [
          ...messages,
          { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'find_river', input: {} }] },
          { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'The Nile.' }] },
        ],
      },
    ],
  ])('are left alone where they are %s', async (_, asked) => {
    expect((await create('', asked)).content.map(({ type }) => type)).toEqual(['text']);
  });

  test('have an empty input where the maximum has cut it', async () => {
    const { content, stop_reason: reason } = await create('', { tools, max_tokens: 2 });
    expect(content).toMatchObject([{ type: 'tool_use', input: {} }]);
    expect(reason).toBe('max_tokens');
  });
});

describe('counting tokens', () => {
  test('is free and says what a message with this prompt reports', async () => {
    const prompt = {
      messages: [
        ...messages,
        {
          role: 'assistant' as const,
          content: [{ type: 'thinking' as const, thinking: 'Hm.', signature: 's' }],
        },
        { role: 'user' as const, content: [{ type: 'text' as const, text: 'And lakes?' }] },
      ],
      system: [{ type: 'text' as const, text: 'Be terse.' }],
      tools,
    };
    const counted = await client.messages.countTokens({ model: instant, ...prompt });
    expect(simulator.requests.last).toMatchObject({ outcome: 'completed', usage: null, tokensSent: 0 });
    expect(counted.input_tokens).toBe((await create('', prompt)).usage.input_tokens);
    // What was thought before is no part of it.
    const texts = ['Be terse.', 'And lakes?', 'system', 'assistant', 'user', JSON.stringify(tools)];
    const more = texts.reduce((sum, text) => sum + countTokens(text), 0);
    expect(counted.input_tokens).toBe(promptTokens + 3 * 3 + more);
  });
});

test('the typed errors of the official client are raised', async () => {
  const stranger = new Anthropic({ baseURL: simulator.origin, apiKey: 'bad-key', maxRetries: 0 });
  await expect(stranger.messages.create(paramsOf('', {}))).rejects.toBeInstanceOf(
    Anthropic.AuthenticationError,
  );
  await expect(create('&fault=refuse_429')).rejects.toBeInstanceOf(Anthropic.RateLimitError);
  await expect(create('&fault=refuse_529')).rejects.toMatchObject({ status: 529, type: 'overloaded_error' });
  const broken = await stream('&fault=error_event&after=4').catch((raised) => raised);
  expect(broken).toBeInstanceOf(Anthropic.APIError);
  expect(broken).toMatchObject({ type: 'api_error' });
});

test.each([
  [{}, 'max_tokens: Field required'],
  [{ max_tokens: 0 }, 'max_tokens: Input should be greater than or equal to 1'],
  [{ max_tokens: 'many' }, 'max_tokens: Input should be a valid number'],
  [{ max_tokens: 5, messages: [] }, 'messages: List should have at least 1 item'],
  [
    { max_tokens: 5, messages: [{ role: 'robot', content: 'Hi' }] },
    "messages.0.role: Input should be 'user'",
  ],
  [{ max_tokens: 5, messages: [{ role: 'user' }] }, 'messages.0.content: Field required'],
  [
    { max_tokens: 5, messages: [{ role: 'user', content: [{}] }] },
    'messages.0.content.0.type: Field required',
  ],
  [{ max_tokens: 5, n: 2 }, 'n: Extra inputs are not permitted'],
  [
    { max_tokens: 1024, thinking: { type: 'enabled', budget_tokens: 1024 } },
    '`max_tokens` must be greater than `thinking.budget_tokens`.',
  ],
  [{ max_tokens: 5, tool_choice: { type: 'tool', name: 'x' } }, "Tool 'x' not found"],
])('%j is refused in the words of Anthropic', async (asked, message) => {
  const { status, body, headers } = await exchange(simulator.url, {
    path: '/v1/messages',
    headers: { 'anthropic-version': '2023-06-01' },
    body: { model: instant, messages, ...asked },
  });
  expect(status).toBe(400);
  expect(JSON.parse(body.toString())).toEqual({
    type: 'error',
    error: { type: 'invalid_request_error', message: expect.stringContaining(message) },
    request_id: headers['request-id'],
  });
});

test('a request that does not say its version is refused', async () => {
  const { status, body } = await exchange(simulator.url, {
    path: '/v1/messages',
    body: { model: instant, messages, max_tokens: 5 },
  });
  expect(status).toBe(400);
  expect(JSON.parse(body.toString()).error.message).toBe('anthropic-version: header is required');
});
