import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exchange } from '../raw-client.ts';
import { type Simulator, startSimulator } from '../simulator.ts';

let simulator: Simulator;
let client: OpenAI;
beforeAll(async () => {
  simulator = await startSimulator({ seed: 'embeddings' });
  client = new OpenAI({ baseURL: simulator.url, apiKey: 'any', maxRetries: 0 });
});
afterAll(() => simulator.close());

const model = 'sim-embed?ttfb_ms=0';
const texts = ['One river.', 'Two rivers.', 'One river.'];

test('each input has a vector of length 1, and equal inputs have equal ones', async () => {
  const { data, usage } = await client.embeddings.create({ model, input: texts });
  expect(data.map(({ index }) => index)).toEqual([0, 1, 2]);
  for (const { embedding } of data) {
    expect(embedding).toHaveLength(1536);
    expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
  }
  expect(data[2]!.embedding).toEqual(data[0]!.embedding);
  expect(data[1]!.embedding).not.toEqual(data[0]!.embedding);
  const tokens = texts.reduce((sum, text) => sum + countTokens(text), 0);
  expect(usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens });
  expect(simulator.requests.last!.usage).toMatchObject({ promptTokens: tokens, completionTokens: 0 });
});

test('base64 is the same numbers', async () => {
  const float = await client.embeddings.create({ model, input: 'Hi', encoding_format: 'float' });
  const plain = await exchange(simulator.url, {
    path: '/v1/embeddings',
    body: { model, input: 'Hi', encoding_format: 'base64' },
  });
  const [{ embedding }] = JSON.parse(plain.body.toString()).data;
  const bytes = Buffer.from(embedding, 'base64');
  const decoded = Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(4 * at));
  expect(decoded).toEqual(float.data[0]!.embedding);
});

test('dimensions and ids of tokens are honoured', async () => {
  const { data, usage } = await client.embeddings.create({
    model,
    input: [[1, 2, 3], [4]],
    dimensions: 256,
  });
  expect(data.map(({ embedding }) => embedding.length)).toEqual([256, 256]);
  expect(usage.prompt_tokens).toBe(4);
});

test.each([
  ['no_usage', undefined],
  ['null_usage', null],
  ['zero_usage', { prompt_tokens: 0, total_tokens: 0 }],
])('%s befalls its usage', async (fault, usage) => {
  const response = await client.embeddings.create({ model: `${model}&fault=${fault}`, input: 'Hi' });
  expect(response.usage).toEqual(usage);
});

test.each([
  [{}, 'input', 'missing_required_parameter'],
  [{ input: '' }, 'input', null],
  [{ input: [] }, 'input', null],
  [{ input: ['Hi', ''] }, null, null],
  [{ input: 'Hi', encoding_format: 'binary' }, 'encoding_format', 'invalid_value'],
  [{ input: 'Hi', stream: true }, null, null],
])('%j is refused in the words of OpenAI', async (asked, param, code) => {
  const { status, body } = await exchange(simulator.url, {
    path: '/v1/embeddings',
    body: { model, ...asked },
  });
  expect(status).toBe(400);
  const { error } = JSON.parse(body.toString());
  expect(error.type).toBe('invalid_request_error');
  if (param !== null) expect(error.param).toBe(param);
  if (code !== null) expect(error.code).toBe(code);
});

test('a cut befalls the body', async () => {
  const { isComplete } = await exchange(simulator.url, {
    path: '/v1/embeddings',
    body: { model: `${model}&fault=cut`, input: 'Hi' },
  });
  expect(isComplete).toBe(false);
});
