import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventData, exchange } from '../raw-client.ts';
import { type Simulator, startSimulator } from '../simulator.ts';

let simulator: Simulator;
let client: OpenAI;
beforeAll(async () => {
  simulator = await startSimulator({ seed: 'answers' });
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
type Asked = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'model' | 'messages' | 'stream'>;

const complete = (directives = '', extra: Asked = {}) =>
  client.chat.completions.create({ model: `${instant}${directives}`, messages, ...extra });

async function stream(directives = '', extra: Asked = {}) {
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  const model = `${instant}${directives}`;
  const options = { stream: true, stream_options: { include_usage: true } } as const;
  for await (const chunk of await client.chat.completions.create({ model, messages, ...options, ...extra })) {
    chunks.push(chunk);
  }
  return chunks;
}

/** Text that OpenAI's types don't know, reasoning for one, or of a delta. */
function textIn(part: object, member: string): string {
  const text: unknown = Reflect.get(part, member);
  return typeof text === 'string' ? text : '';
}

function streamedText(chunks: OpenAI.ChatCompletionChunk[], member = 'content', index = 0): string {
  const choices = chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.index === index);
  return choices.map(({ delta }) => textIn(delta, member)).join('');
}

describe('usage equals the count of the text that was sent by the tokenizer', () => {
  test.each(['', '&tokens=0', '&tokens=1', '&tokens=500', '&reasoning=30'])(
    'in a body: %s',
    async (directives) => {
      const { choices, usage } = await complete(directives);
      const message = choices[0]!.message;
      const reasoning = countTokens(textIn(message, 'reasoning_content'));
      expect(usage).toMatchObject({
        prompt_tokens: promptTokens,
        completion_tokens: reasoning + countTokens(message.content ?? ''),
        completion_tokens_details: { reasoning_tokens: reasoning },
      });
      expect(usage!.total_tokens).toBe(promptTokens + usage!.completion_tokens);
    },
  );

  test.each(['', '&tokens=0', '&tokens=1', '&tokens=500', '&reasoning=30', '&tokens=95&tokens_per_event=10'])(
    'in a stream: %s',
    async (directives) => {
      const chunks = await stream(directives);
      const reasoning = countTokens(streamedText(chunks, 'reasoning_content'));
      expect(chunks.at(-1)!.usage).toMatchObject({
        prompt_tokens: promptTokens,
        completion_tokens: reasoning + countTokens(streamedText(chunks)),
        completion_tokens_details: { reasoning_tokens: reasoning },
      });
      expect(simulator.requests.last).toMatchObject({
        outcome: 'completed',
        tokensSent: chunks.at(-1)!.usage!.completion_tokens,
      });
    },
  );

  test('over all choices when n is above 1', async () => {
    const { choices, usage } = await complete('&tokens=30', { n: 3 });
    const texts = choices.map(({ message }) => message.content ?? '');
    expect(new Set(texts).size).toBe(3);
    expect(usage!.completion_tokens).toBe(texts.reduce((sum, text) => sum + countTokens(text), 0));

    const chunks = await stream('&tokens=30', { n: 3 });
    const streamed = [0, 1, 2].map((index) => streamedText(chunks, 'content', index));
    expect(chunks.at(-1)!.usage!.completion_tokens).toBe(
      streamed.reduce((sum, text) => sum + countTokens(text), 0),
    );
  });

  test('over the arguments of tool calls', async () => {
    const { choices, usage } = await complete('&tool_calls=2', { tools });
    const calls = choices[0]!.message.tool_calls!.filter((call) => call.type === 'function');
    expect(calls).toHaveLength(2);
    expect(usage!.completion_tokens).toBe(
      calls.reduce((sum, call) => sum + countTokens(call.function.arguments), 0),
    );
  });

  test('of a refusal and of JSON', async () => {
    const declined = await complete('&refusal=true');
    expect(declined.choices[0]!.message.content).toBeNull();
    expect(declined.usage!.completion_tokens).toBe(countTokens(declined.choices[0]!.message.refusal!));
    const json = await complete('', { response_format: { type: 'json_object' } });
    expect(json.usage!.completion_tokens).toBe(countTokens(json.choices[0]!.message.content!));
  });
});

describe('a stream', () => {
  test('starts with the role, ends with the finish reason, and then has the usage where it was asked for', async () => {
    const chunks = await stream('&tokens=4');
    expect(chunks).toHaveLength(1 + 4 + 1 + 1);
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: 'assistant', content: '', refusal: null });
    expect(chunks.slice(0, -1).map(({ usage }) => usage)).toEqual(Array(6).fill(null));
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason)).toEqual([
      ...Array(5).fill(null),
      'stop',
      undefined,
    ]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 4 } });
  });

  test('says nothing of usage where it was not asked for, and ends with [DONE]', async () => {
    const { body } = await exchange(simulator.url, {
      body: { model: `${instant}&tokens=4`, messages, stream: true },
    });
    expect(body.toString()).not.toContain('usage');
    const data = eventData(body);
    expect(data).toHaveLength(1 + 4 + 1 + 1);
    expect(data.at(-1)).toBe('[DONE]');
    expect(body.toString().endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('says the same in events of many tokens as in events of one', async () => {
    const model = instant.replace('sim-small?', 'sim-small?tokens=50&');
    const headersOf = (size: number) => ({ 'x-sim-tokens-per-event': String(size) });
    const body = { model, messages, stream: true };
    const fine = await exchange(simulator.url, { body, headers: headersOf(1) });
    const coarse = await exchange(simulator.url, { body, headers: headersOf(20) });
    const texts = [fine, coarse].map((response) =>
      streamedText(
        eventData(response.body)
          .slice(0, -1)
          .map((data) => JSON.parse(data)),
      ),
    );
    expect(texts[0]).toBe(texts[1]);
    expect(eventData(coarse.body)).toHaveLength(1 + 3 + 1 + 1);
  });

  test('tells its choices apart by their index, each with its own end', async () => {
    const chunks = await stream('&tokens=3', { n: 2 });
    const indices = chunks.flatMap(({ choices }) => choices.map(({ index }) => index));
    expect(indices).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    const finishes = chunks.flatMap(({ choices }) => choices.map(({ finish_reason: reason }) => reason));
    expect(finishes.slice(-2)).toEqual(['stop', 'stop']);
  });

  test('refuses in deltas of their own', async () => {
    const chunks = await stream('&refusal=true');
    expect(streamedText(chunks, 'refusal')).toBe("I'm sorry, but I can't help with that request.");
    expect(streamedText(chunks, 'content')).toBe('');
  });
});

describe('a maximum', () => {
  test.each(['max_tokens', 'max_completion_tokens'])('%s ends an answer with length', async (name) => {
    const { choices, usage } = await complete('&tokens=100', { [name]: 10 });
    expect(choices[0]!.finish_reason).toBe('length');
    expect(usage!.completion_tokens).toBe(10);
    expect(countTokens(choices[0]!.message.content!)).toBe(10);
    const chunks = await stream('&tokens=100', { [name]: 10 });
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe('length');
    expect(countTokens(streamedText(chunks))).toBe(10);
  });

  test('that is just reached changes nothing', async () => {
    const { choices, usage } = await complete('&tokens=10', { max_tokens: 10 });
    expect(choices[0]!.finish_reason).toBe('stop');
    expect(usage!.completion_tokens).toBe(10);
  });

  test('covers reasoning first', async () => {
    const { choices, usage } = await complete('&reasoning=20&tokens=20', { max_completion_tokens: 15 });
    expect(choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '' } });
    expect(usage).toMatchObject({
      completion_tokens: 15,
      completion_tokens_details: { reasoning_tokens: 15 },
    });
  });

  test('cuts the arguments of calls', async () => {
    const { choices, usage } = await complete('&tool_calls=3', { tools, max_tokens: 3 });
    const call = choices[0]!.message.tool_calls![0]!;
    expect(choices[0]!.finish_reason).toBe('length');
    expect(usage!.completion_tokens).toBeLessThanOrEqual(3);
    expect(() => JSON.parse(call.type === 'function' ? `${call.function.arguments}!` : '')).toThrow();
  });
});

describe('reasoning', () => {
  test('comes from sim-reasoning unasked, before the answer', async () => {
    const model = instant.replace('sim-small', 'sim-reasoning');
    const { choices, usage } = await client.chat.completions.create({ model, messages });
    expect(countTokens(textIn(choices[0]!.message, 'reasoning_content'))).toBe(48);
    expect(simulator.requests.last!.tokensSent).toBe(usage!.completion_tokens);
    expect(usage!.completion_tokens_details!.reasoning_tokens).toBe(48);
  });

  test('is told under another name', async () => {
    const chunks = await stream('&reasoning=9&reasoning_field=reasoning');
    expect(countTokens(streamedText(chunks, 'reasoning'))).toBe(9);
  });

  test('is charged when hidden, but not told', async () => {
    const { choices, usage } = await complete('&reasoning=9&tokens=4&reasoning_field=hidden');
    expect(Object.keys(choices[0]!.message)).toEqual(['role', 'content', 'refusal', 'annotations']);
    expect(simulator.requests.last).toMatchObject({ tokensSent: 4, usage: { completionTokens: 13 } });
    expect(usage).toMatchObject({
      completion_tokens: 13,
      completion_tokens_details: { reasoning_tokens: 9 },
    });
    const chunks = await stream('&reasoning=9&tokens=4&reasoning_field=hidden');
    expect(chunks).toHaveLength(1 + 4 + 1 + 1);
    expect(chunks.at(-1)!.usage).toMatchObject({ completion_tokens: 13 });
    expect(simulator.requests.last).toMatchObject({ tokensSent: 4, usage: { completionTokens: 13 } });
  });
});

describe('tools', () => {
  const argumentsOf = (choice: OpenAI.ChatCompletion.Choice) => {
    const call = choice.message.tool_calls?.[0];
    return call?.type === 'function' ? JSON.parse(call.function.arguments) : undefined;
  };

  test('are called with arguments of their schema', async () => {
    const { choices } = await complete('', { tools: tools.slice(0, 1), tool_choice: 'required' });
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
    expect(argumentsOf(choices[0]!)).toEqual({ name: expect.any(String), miles: expect.any(Number) });
  });

  test('are called in streamed deltas that add up to the arguments', async () => {
    const chunks = await stream('&tool_calls=2', { tools });
    const deltas = chunks.flatMap(({ choices }) => choices.flatMap(({ delta }) => delta.tool_calls ?? []));
    const opening = deltas.filter(({ id }) => id !== undefined);
    expect(opening.map(({ index }) => index)).toEqual([0, 1]);
    expect(new Set(opening.map((delta) => delta.function!.name))).toEqual(
      new Set(['find_river', 'find_lake']),
    );
    for (const { index } of opening) {
      const pieces = deltas
        .filter((delta) => delta.index === index)
        .map((delta) => delta.function!.arguments);
      expect(() => JSON.parse(pieces.join(''))).not.toThrow();
    }
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe('tool_calls');
  });

  test('are called once when calls in parallel are forbidden', async () => {
    const { choices } = await complete('&tool_calls=2', { tools, parallel_tool_calls: false });
    expect(choices[0]!.message.tool_calls).toHaveLength(1);
  });

  test('are called by name where one is demanded, which OpenAI ends with stop', async () => {
    const { choices } = await complete('', {
      tools,
      tool_choice: { type: 'function', function: { name: 'find_lake' } },
    });
    expect(choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { tool_calls: [{ function: { name: 'find_lake', arguments: '{}' } }] },
    });
  });

  test('are left alone where they are forbidden, and after a result', async () => {
    const forbidden = await complete('', { tools, tool_choice: 'none' });
    expect(forbidden.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: expect.any(String) },
    });
    const answered = await client.chat.completions.create({
      model: instant,
      tools,
      messages: [...messages, { role: 'tool', tool_call_id: 'call_1', content: 'The Nile.' }],
    });
    expect(answered.choices[0]!.message.tool_calls).toBeUndefined();
  });
});

test('JSON is answered where it was asked for, by its schema', async () => {
  const schema = { type: 'object', properties: { rivers: { type: 'array', items: { type: 'string' } } } };
  const { choices } = await complete('', {
    response_format: { type: 'json_schema', json_schema: { name: 'rivers', schema } },
  });
  expect(JSON.parse(choices[0]!.message.content!)).toEqual({ rivers: [expect.any(String)] });
});

test('cached tokens are part of the prompt, and never more than it', async () => {
  expect((await complete('&cached_tokens=4')).usage!.prompt_tokens_details!.cached_tokens).toBe(4);
  expect((await complete('&cached_tokens=400')).usage!.prompt_tokens_details!.cached_tokens).toBe(
    promptTokens,
  );
});
