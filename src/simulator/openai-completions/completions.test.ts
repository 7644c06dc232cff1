import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exchange } from '../raw-client.ts';
import { type Simulator, startSimulator } from '../simulator.ts';

let simulator: Simulator;
let client: OpenAI;
beforeAll(async () => {
  simulator = await startSimulator({ seed: 'completions' });
  client = new OpenAI({ baseURL: simulator.url, apiKey: 'any', maxRetries: 0 });
});
afterAll(() => simulator.close());

const instant = 'sim-small?ttfb_ms=0&tokens_per_second=0';
const prompt = 'Tell me of rivers.';
type Asked = Partial<Omit<OpenAI.CompletionCreateParamsNonStreaming, 'model' | 'stream'>>;
const create = (directives = '', asked: Asked = {}) =>
  client.completions.create({ model: `${instant}${directives}`, prompt, max_tokens: 1000, ...asked });

async function stream(directives: string, options?: OpenAI.ChatCompletionStreamOptions, asked: Asked = {}) {
  const chunks: OpenAI.Completion[] = [];
  const params = { model: `${instant}${directives}`, prompt, max_tokens: 1000, ...asked };
  const streamed = await client.completions.create({
    ...params,
    stream: true,
    ...(options === undefined ? {} : { stream_options: options }),
  });
  for await (const chunk of streamed) chunks.push(chunk);
  return chunks;
}

test('a completion has the text and the usage of just prompt and text', async () => {
  const { choices, usage } = await create('&tokens=30');
  expect(choices).toMatchObject([{ index: 0, finish_reason: 'stop', logprobs: null }]);
  expect(countTokens(choices[0]!.text)).toBe(30);
  const input = countTokens(prompt);
  expect(usage).toEqual({ prompt_tokens: input, completion_tokens: 30, total_tokens: input + 30 });
});

test('a completion without a maximum has no more than 16 tokens, as at OpenAI', async () => {
  const { choices, usage } = await create('&tokens=100', { max_tokens: null });
  expect(choices[0]!.finish_reason).toBe('length');
  expect(usage!.completion_tokens).toBe(16);
});

test('a stream ends with an empty text and its reason, and then has the usage where it was asked for', async () => {
  const chunks = await stream('&tokens=4', { include_usage: true });
  expect(chunks).toHaveLength(4 + 1 + 1);
  expect(chunks.slice(0, -1).map(({ usage }) => usage)).toEqual(Array(5).fill(null));
  expect(chunks.at(-2)!.choices[0]).toMatchObject({ text: '', finish_reason: 'stop' });
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 4 } });
  const silent = await stream('&tokens=4');
  expect(silent).toHaveLength(4 + 1);
  expect(JSON.stringify(silent)).not.toContain('usage');
});

test('each of several prompts has its own answers, and all are counted', async () => {
  const prompts = ['One river.', 'Two rivers.'];
  const { choices, usage } = await create('&tokens=10', { prompt: prompts, n: 2 });
  expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  expect(new Set(choices.map(({ text }) => text)).size).toBe(4);
  const input = prompts.reduce((sum, text) => sum + countTokens(text), 0);
  expect(usage).toMatchObject({ prompt_tokens: input, completion_tokens: 40 });
});

test('the ids of tokens count as many as there are', async () => {
  expect((await create('', { prompt: [1, 2, 3] })).usage!.prompt_tokens).toBe(3);
  const two = await create('&tokens=5', { prompt: [[1, 2, 3], [4]] });
  expect(two.usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 10 });
  expect(two.choices).toHaveLength(2);
});

test('best_of is paid for, though only the best are shown', async () => {
  const { choices, usage } = await create('&tokens=10', { best_of: 3, n: 2 });
  expect(choices).toHaveLength(2);
  expect(usage!.completion_tokens).toBe(30);
  expect(simulator.requests.last).toMatchObject({ tokensSent: 20, usage: { completionTokens: 30 } });
});

test('echo puts the prompt before the text, and counts it once', async () => {
  const { choices, usage } = await create('&tokens=5', { echo: true });
  expect(choices[0]!.text.startsWith(prompt)).toBe(true);
  expect(usage!.completion_tokens).toBe(5);
  const chunks = await stream('&tokens=5', undefined, { echo: true });
  expect(chunks[0]!.choices[0]!.text).toBe(prompt);
});

test('neither thoughts nor calls are in a completion', async () => {
  const { usage } = await create('&tokens=5&reasoning=9&tool_calls=2');
  expect(usage!.completion_tokens).toBe(5);
});

test.each([
  [{ prompt: 5 }, 'prompt', 'invalid_type'],
  [{ prompt: [] }, 'prompt', 'empty_array'],
  [{ prompt, messages: [] }, null, null],
  [{ prompt, n: 3, best_of: 2 }, 'best_of', null],
  [{ prompt, stream: true, best_of: 2 }, 'best_of', null],
  [{ prompt, stream_options: {} }, 'stream_options', null],
])('%j is refused in the words of OpenAI', async (asked, param, code) => {
  const { status, body } = await exchange(simulator.url, {
    path: '/v1/completions',
    body: { model: instant, ...asked },
  });
  expect(status).toBe(400);
  expect(JSON.parse(body.toString()).error).toMatchObject({ type: 'invalid_request_error', param, code });
});
