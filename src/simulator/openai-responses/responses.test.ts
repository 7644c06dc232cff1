import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventData, exchange } from '../raw-client.ts';
import { type Simulator, startSimulator } from '../simulator.ts';

let simulator: Simulator;
let client: OpenAI;
beforeAll(async () => {
  simulator = await startSimulator({ seed: 'responses' });
  client = new OpenAI({ baseURL: simulator.url, apiKey: 'any', maxRetries: 0 });
});
afterAll(() => simulator.close());

const instant = 'sim-small?ttfb_ms=0&tokens_per_second=0';
const input = 'Tell me of rivers.';
const promptTokens = 7 + countTokens(input);
const tools: OpenAI.Responses.FunctionTool[] = [
  {
    type: 'function',
    name: 'find_river',
    strict: true,
    parameters: { type: 'object', properties: { name: { type: 'string' }, miles: { type: 'integer' } } },
  },
];
type Asked = Omit<OpenAI.Responses.ResponseCreateParamsNonStreaming, 'model' | 'stream'>;

const create = (directives = '', asked: Asked = {}) =>
  client.responses.create({ model: `${instant}${directives}`, input, ...asked });

async function stream(directives = '', asked: Asked = {}) {
  const events: OpenAI.Responses.ResponseStreamEvent[] = [];
  const model = `${instant}${directives}`;
  for await (const event of await client.responses.create({ model, input, ...asked, stream: true })) {
    events.push(event);
  }
  return events;
}

const deltasOf = (events: OpenAI.Responses.ResponseStreamEvent[], type: string) =>
  events.flatMap((event) => (event.type === type && 'delta' in event ? [event.delta] : [])).join('');

function finalOf(events: OpenAI.Responses.ResponseStreamEvent[]): OpenAI.Responses.Response {
  const last = events.at(-1);
  if (last === undefined || !('response' in last)) throw new Error('the stream has no end');
  return last.response;
}

describe('a response', () => {
  test('has the text in a message, and the usage of prompt and text', async () => {
    const response = await create('&tokens=30');
    expect(response).toMatchObject({ object: 'response', status: 'completed', error: null });
    expect(response.output).toHaveLength(1);
    expect(countTokens(response.output_text)).toBe(30);
    expect(response.usage).toEqual({
      input_tokens: promptTokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 30,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: promptTokens + 30,
    });
  });

  test('is streamed in the order of OpenAI, each event with its number', async () => {
    const events = await stream('&tokens=3');
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, at) => at));
    expect(finalOf(events)).toMatchObject({ status: 'completed', usage: { output_tokens: 3 } });
  });

  test('is the same streamed as whole', async () => {
    const model = `${instant}&tokens=20&reasoning=10`;
    const body = { model, input, reasoning: { summary: 'auto' } };
    const whole = await exchange(simulator.url, { path: '/v1/responses', body });
    const runner = client.responses.stream({ model, input, reasoning: { summary: 'auto' } });
    const streamed = await runner.finalResponse();
    expect(streamed.output.map(({ type }) => type)).toEqual(['reasoning', 'message']);
    expect(Object.keys(JSON.parse(whole.body.toString())).every((name) => name in streamed)).toBe(true);
    expect(countTokens(streamed.output_text)).toBe(20);
  });

  test('is incomplete where the maximum cuts it', async () => {
    for (const response of [
      await create('&tokens=100', { max_output_tokens: 20 }),
      finalOf(await stream('&tokens=100', { max_output_tokens: 20 })),
    ]) {
      expect(response).toMatchObject({
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output: [{ status: 'incomplete' }],
        usage: { output_tokens: 20 },
      });
    }
    const events = await stream('&tokens=100', { max_output_tokens: 20 });
    expect(events.at(-1)!.type).toBe('response.incomplete');
  });

  test('declines in a part of its own', async () => {
    const { output } = await create('&refusal=true');
    expect(output).toMatchObject([
      { content: [{ type: 'refusal', refusal: expect.stringContaining('sorry') }] },
    ]);
    const events = await stream('&refusal=true');
    expect(deltasOf(events, 'response.refusal.delta')).toContain('sorry');
  });

  test('is JSON of the schema that was asked for', async () => {
    const schema = { type: 'object', properties: { rivers: { type: 'array', items: { type: 'string' } } } };
    const { output_text: text } = await create('', {
      text: { format: { type: 'json_schema', name: 'rivers', schema } },
    });
    expect(JSON.parse(text)).toEqual({ rivers: [expect.any(String)] });
  });

  test('reports what a cache had of the prompt', async () => {
    const { usage } = await create('&cached_tokens=5');
    expect(usage).toMatchObject({ input_tokens: promptTokens, input_tokens_details: { cached_tokens: 5 } });
  });
});

describe('reasoning', () => {
  test('is counted unseen, and told as a summary where one was asked for', async () => {
    const silent = await create('&reasoning=9&tokens=4');
    expect(silent.output[0]).toMatchObject({ type: 'reasoning', summary: [] });
    expect(silent.usage).toMatchObject({
      output_tokens: 13,
      output_tokens_details: { reasoning_tokens: 9 },
    });
    expect(simulator.requests.last).toMatchObject({ tokensSent: 4 });
    const events = await stream('&reasoning=9&tokens=4', { reasoning: { summary: 'auto' } });
    expect(countTokens(deltasOf(events, 'response.reasoning_summary_text.delta'))).toBe(9);
    expect(simulator.requests.last).toMatchObject({ tokensSent: 13 });
  });

  test('that takes all of the maximum leaves no message', async () => {
    const response = await create('&reasoning=50', { max_output_tokens: 16 });
    expect(response.output.map(({ type }) => type)).toEqual(['reasoning']);
    expect(response).toMatchObject({ status: 'incomplete', usage: { output_tokens: 16 } });
  });
});

describe('tools', () => {
  test('are called with arguments of their schema, which are what is counted', async () => {
    const { output, usage } = await create('&tool_calls=2', { tools });
    const calls = output.filter((item) => item.type === 'function_call');
    expect(calls).toHaveLength(2);
    expect(new Set(calls.map(({ call_id: id }) => id)).size).toBe(2);
    expect(JSON.parse(calls[0]!.arguments)).toEqual({ name: expect.any(String), miles: expect.any(Number) });
    expect(usage!.output_tokens).toBe(calls.reduce((sum, call) => sum + countTokens(call.arguments), 0));
  });

  test('are called in streamed deltas that add up to the arguments', async () => {
    const events = await stream('', { tools });
    const [call] = finalOf(events).output;
    expect(call).toMatchObject({ type: 'function_call', name: 'find_river', status: 'completed' });
    expect(deltasOf(events, 'response.function_call_arguments.delta')).toBe(
      call?.type === 'function_call' ? call.arguments : '',
    );
  });

  test.each<[string, Asked]>([
    ['forbidden', { tools, tool_choice: 'none' }],
    [
      'behind a result',
      {
        tools,
        input: [
          { type: 'function_call', call_id: 'call_1', name: 'find_river', arguments: '{}' },
          { type: 'function_call_output', call_id: 'call_1', output: 'The Nile.' },
        ],
      },
    ],
  ])('are left alone where they are %s', async (_, asked) => {
    expect((await create('', asked)).output.map(({ type }) => type)).toEqual(['message']);
  });

  test('are called where one is demanded, behind a result too', async () => {
    const { output } = await create('', {
      tools,
      tool_choice: { type: 'function', name: 'find_river' },
      input: [{ type: 'function_call_output', call_id: 'call_1', output: 'The Nile.' }],
    });
    expect(output[0]).toMatchObject({ type: 'function_call', name: 'find_river' });
  });
});

describe('a response that continues another', () => {
  test('has the other’s prompt and answer in its own prompt, but not what it thought', async () => {
    const first = await create('&tokens=30&reasoning=10');
    const second = await create('&tokens=5', { previous_response_id: first.id });
    expect(second.previous_response_id).toBe(first.id);
    expect(second.usage!.input_tokens).toBe(promptTokens + 30 + promptTokens);
    const [item] = finalOf(await stream('&tokens=25')).output;
    const third = await create('&tokens=5', {
      input: [
        { type: 'item_reference', id: item!.id! },
        { role: 'user', content: input },
      ],
    });
    expect(third.usage!.input_tokens).toBe(25 + promptTokens);
  });

  test.each([
    ['that was never given', async () => 'resp_unknown'],
    ['that was not to be stored', async () => (await create('', { store: false })).id],
  ])('is refused for an id %s', async (_, idOf) => {
    const error = await create('', { previous_response_id: await idOf() }).catch((raised) => raised);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ code: 'previous_response_not_found', param: 'previous_response_id' });
  });
});

describe('a failure behind a status of 200', () => {
  test('is named in the stream, and then the response is failed', async () => {
    const body = { model: `${instant}&fault=error_event&after=6`, input, stream: true };
    const { body: sent } = await exchange(simulator.url, { path: '/v1/responses', body });
    const events = eventData(sent).map((data) => JSON.parse(data));
    expect(events.slice(-2)).toMatchObject([
      { type: 'error', sequence_number: 6, error: { code: 'server_error' } },
      {
        type: 'response.failed',
        sequence_number: 7,
        response: { status: 'failed', error: { code: 'server_error' }, usage: null },
      },
    ]);
    await expect(stream('&fault=error_event&after=6')).rejects.toBeInstanceOf(OpenAI.APIError);
  });

  test('is a failed response where there is no stream', async () => {
    const response = await create('&fault=error_in_200');
    expect(response).toMatchObject({ status: 'failed', error: { code: 'server_error' }, usage: null });
  });
});

test.each([
  [{}, null, 'missing_required_parameter', "one of 'input' or"],
  [{ input: [] }, 'input', 'empty_array', 'empty array'],
  [{ input: 5 }, 'input', 'invalid_type', 'expected one of a string or an array'],
  [{ input: [{ content: 'Hi' }] }, 'input[0].role', 'missing_required_parameter', "'input[0].role'"],
  [{ input, max_output_tokens: 3 }, 'max_output_tokens', 'integer_below_minimum_value', '>= 16'],
  [{ input, messages: [] }, null, null, 'Unrecognized request argument supplied: messages'],
  [{ input, tools: [{ type: 'function' }] }, 'tools[0].name', 'missing_required_parameter', 'tools[0].name'],
])('%j is refused in the words of OpenAI', async (asked, param, code, message) => {
  const { status, body } = await exchange(simulator.url, {
    path: '/v1/responses',
    body: { model: instant, ...asked },
  });
  expect(status).toBe(400);
  expect(JSON.parse(body.toString()).error).toMatchObject({
    type: 'invalid_request_error',
    param,
    code,
    message: expect.stringContaining(message),
  });
});
