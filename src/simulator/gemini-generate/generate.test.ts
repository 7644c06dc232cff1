import { ApiError, type GenerateContentParameters, GoogleGenAI, Type } from '@google/genai';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange } from '../raw-client.ts';
import { type Simulator, startSimulator } from '../simulator.ts';

let simulator: Simulator;
let client: GoogleGenAI;
beforeAll(async () => {
  simulator = await startSimulator({ seed: 'gemini' });
  client = new GoogleGenAI({ apiKey: 'any', httpOptions: { baseUrl: simulator.origin } });
});
afterAll(() => simulator.close());

/** The official client puts the name into a path as it is, so the directives come encoded. */
const modelOf = (directives: string) =>
  encodeURIComponent(`sim-small?ttfb_ms=0&tokens_per_second=0${directives}`);
const contents = 'Tell me of rivers.';
const promptTokens = 7 + countTokens(contents);
const tools = [
  {
    functionDeclarations: [
      {
        name: 'find_river',
        parameters: {
          type: Type.OBJECT,
          properties: { name: { type: Type.STRING }, miles: { type: Type.INTEGER } },
        },
      },
    ],
  },
];
type Asked = Partial<Omit<GenerateContentParameters, 'model'>>;

const generate = (directives = '', asked: Asked = {}) =>
  client.models.generateContent({ model: modelOf(directives), contents, ...asked });

async function stream(directives = '', asked: Asked = {}) {
  const chunks = [];
  const params = { model: modelOf(directives), contents, ...asked };
  for await (const chunk of await client.models.generateContentStream(params)) chunks.push(chunk);
  return chunks;
}

/** Everything that the candidates say, thoughts aside. */
const saidIn = (chunks: Awaited<ReturnType<typeof stream>>) =>
  chunks.map(({ candidates }) => candidates?.[0]?.content?.parts?.[0]?.text ?? '').join('');

describe('an answer', () => {
  test('has the text and the usage of prompt and text, under the model of the path', async () => {
    const response = await generate('&tokens=30');
    expect(response.candidates).toMatchObject([{ index: 0, finishReason: 'STOP' }]);
    expect(countTokens(response.text!)).toBe(30);
    expect(response.modelVersion).toBe('sim-small');
    expect(response.usageMetadata).toEqual({
      promptTokenCount: promptTokens,
      candidatesTokenCount: 30,
      totalTokenCount: promptTokens + 30,
      promptTokensDetails: [{ modality: 'TEXT', tokenCount: promptTokens }],
      candidatesTokensDetails: [{ modality: 'TEXT', tokenCount: 30 }],
    });
  });

  test('is streamed with the usage up to each event, and the reason in the last', async () => {
    const chunks = await stream('&tokens=4');
    const counts = chunks.map(({ usageMetadata }) => usageMetadata?.candidatesTokenCount);
    expect(counts).toEqual([1, 2, 3, 4, 4]);
    const reasons = chunks.map(({ candidates }) => candidates?.[0]?.finishReason);
    expect(reasons).toEqual([undefined, undefined, undefined, undefined, 'STOP']);
    expect(countTokens(saidIn(chunks))).toBe(4);
  });

  test('is a JSON array without alt=sse, of the same events, each as it comes', async () => {
    const path = `/v1beta/models/${modelOf('&tokens=4')}:streamGenerateContent`;
    const body = { contents: [{ parts: [{ text: contents }] }] };
    const array = await exchange(simulator.url, { path, body });
    expect(array.headers['content-type']).toBe('application/json; charset=UTF-8');
    expect(array.pieces.length).toBeGreaterThan(4);
    const sse = await exchange(simulator.url, { path: `${path}?alt=sse`, body });
    const events = sse.body
      .toString()
      .split('\n\n')
      .filter((event) => event !== '')
      .map((event) => JSON.parse(event.slice('data: '.length)));
    expect(JSON.parse(array.body.toString())).toEqual(events);
    expect(simulator.requests.recent.at(-2)).toMatchObject({ eventsSent: 5, tokensSent: 4 });
  });

  test.each([
    ['cut', '&after=2', false],
    ['error_event', '&after=2', true],
    ['no_done', '', true],
  ])('is an array that %s ends without, or with, its bracket', async (fault, after, isComplete) => {
    const path = `/v1beta/models/${modelOf(`&fault=${fault}${after}`)}:streamGenerateContent`;
    const response = await exchange(simulator.url, {
      path,
      body: { contents: [{ parts: [{ text: 'Hi' }] }] },
    });
    expect(response.isComplete).toBe(isComplete);
    const text = response.body.toString();
    expect(text.endsWith(']')).toBe(fault === 'error_event');
    if (fault === 'error_event') expect(JSON.parse(text)[2].error).toMatchObject({ code: 500 });
  });

  test('ends where the maximum cuts it', async () => {
    const config = { maxOutputTokens: 10 };
    const { candidates, usageMetadata } = await generate('&tokens=100', { config });
    expect(candidates?.[0]?.finishReason).toBe('MAX_TOKENS');
    expect(usageMetadata?.candidatesTokenCount).toBe(10);
    const chunks = await stream('&tokens=100', { config });
    expect(chunks.at(-1)?.candidates?.[0]?.finishReason).toBe('MAX_TOKENS');
  });

  test('that is refused says nothing, and counts no candidates', async () => {
    const { candidates, usageMetadata } = await generate('&refusal=true');
    expect(candidates).toEqual([{ content: { role: 'model' }, finishReason: 'SAFETY', index: 0 }]);
    expect(usageMetadata).not.toHaveProperty('candidatesTokenCount');
    expect(usageMetadata?.totalTokenCount).toBe(promptTokens);
  });

  test('has as many candidates as were asked for, all counted', async () => {
    const { candidates, usageMetadata } = await generate('&tokens=10', { config: { candidateCount: 3 } });
    expect(candidates?.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(usageMetadata?.candidatesTokenCount).toBe(30);
    const chunks = await stream('&tokens=2', { config: { candidateCount: 2 } });
    expect(chunks.map(({ candidates: some }) => some?.[0]?.index)).toEqual([0, 1, 0, 1, 0, 1]);
  });

  test('is JSON of the schema that was asked for, in Google’s words for types', async () => {
    const responseSchema = {
      type: Type.OBJECT,
      properties: {
        rivers: { type: Type.ARRAY, items: { type: Type.STRING } },
        count: { type: Type.INTEGER },
      },
    };
    const { text } = await generate('', { config: { responseMimeType: 'application/json', responseSchema } });
    expect(JSON.parse(text!)).toEqual({ rivers: [expect.any(String)], count: expect.any(Number) });
  });

  test('reports what a cache had as part of the prompt', async () => {
    const { usageMetadata } = await generate('&cached_tokens=5');
    expect(usageMetadata).toMatchObject({ promptTokenCount: promptTokens, cachedContentTokenCount: 5 });
  });
});

describe('thoughts', () => {
  test('are counted beside the candidates, and told where they were asked for', async () => {
    const silent = await generate('&reasoning=9&tokens=4');
    expect(silent.usageMetadata).toMatchObject({
      candidatesTokenCount: 4,
      thoughtsTokenCount: 9,
      totalTokenCount: promptTokens + 13,
    });
    expect(silent.candidates?.[0]?.content?.parts).toHaveLength(1);
    const told = await generate('&reasoning=9&tokens=4', {
      config: { thinkingConfig: { includeThoughts: true } },
    });
    const [thought] = told.candidates?.[0]?.content?.parts ?? [];
    expect(thought?.thought).toBe(true);
    expect(countTokens(thought?.text ?? '')).toBe(9);
    expect(simulator.requests.last).toMatchObject({ tokensSent: 13 });
    const chunks = await stream('&reasoning=2&tokens=1');
    expect(chunks[0]?.usageMetadata).toMatchObject({ thoughtsTokenCount: 2, candidatesTokenCount: 1 });
  });

  test('come unasked where thinking is configured, and never where its budget is zero', async () => {
    const thinking = (thinkingBudget: number) => ({ config: { thinkingConfig: { thinkingBudget } } });
    expect((await generate('', thinking(500))).usageMetadata?.thoughtsTokenCount).toBe(48);
    expect((await generate('&reasoning=9', thinking(0))).usageMetadata).not.toHaveProperty(
      'thoughtsTokenCount',
    );
  });
});

describe('functions', () => {
  test('are called with arguments of their schema, which are what is counted', async () => {
    const response = await generate('&tool_calls=2', { config: { tools } });
    expect(response.functionCalls).toHaveLength(2);
    expect(response.functionCalls![0]).toMatchObject({
      name: 'find_river',
      args: { name: expect.any(String), miles: expect.any(Number) },
    });
    const tokens = response.functionCalls!.map(({ args }) => countTokens(JSON.stringify(args)));
    expect(response.usageMetadata?.candidatesTokenCount).toBe(tokens[0]! + tokens[1]!);
    const chunks = await stream('', { config: { tools } });
    expect(chunks.flatMap(({ functionCalls }) => functionCalls ?? [])).toHaveLength(1);
    expect(chunks.at(-1)?.candidates?.[0]?.finishReason).toBe('STOP');
  });

  test.each<[string, Asked]>([
    ['forbidden', { config: { tools, toolConfig: { functionCallingConfig: { mode: 'NONE' as never } } } }],
    [
      'behind a result',
      {
        config: { tools },
        contents: [
          { role: 'user', parts: [{ text: 'Hi' }] },
          { role: 'model', parts: [{ functionCall: { name: 'find_river', args: {} } }] },
          { role: 'user', parts: [{ functionResponse: { name: 'find_river', response: { is: 'Nile' } } }] },
        ],
      },
    ],
  ])('are left alone where they are %s', async (_, asked) => {
    expect((await generate('', asked)).functionCalls).toBeUndefined();
  });
});

test('another model gives another answer to the same body', async () => {
  const [small, large] = await Promise.all(
    ['sim-small', 'sim-large'].map((model) =>
      exchange(simulator.url, {
        path: `/v1/models/${model}:generateContent`,
        headers: { 'x-sim-ttfb-ms': '0', 'x-sim-tokens-per-second': '0' },
        body: { contents: [{ parts: [{ text: contents }] }] },
      }),
    ),
  );
  const textIn = (body: Buffer) => JSON.parse(body.toString()).candidates[0].content.parts[0].text;
  expect(textIn(small!.body)).not.toBe(textIn(large!.body));
});

test('counting tokens is free and says what an answer to this prompt reports', async () => {
  const { totalTokens } = await client.models.countTokens({ model: modelOf(''), contents });
  expect(totalTokens).toBe(promptTokens);
  expect(simulator.requests.last).toMatchObject({ outcome: 'completed', usage: null });
  const whole = await exchange(simulator.url, {
    path: '/v1beta/models/sim-small%3Fttfb_ms%3D0:countTokens',
    body: { generateContentRequest: { model: 'models/x', contents: [{ parts: [{ text: contents }] }] } },
  });
  expect(JSON.parse(whole.body.toString())).toMatchObject({ totalTokens: promptTokens });
});

test('the error of the official client has the status', async () => {
  const stranger = new GoogleGenAI({ apiKey: 'bad-key', httpOptions: { baseUrl: simulator.origin } });
  const unknown = await stranger.models
    .generateContent({ model: 'sim-small', contents })
    .catch((raised) => raised);
  expect(unknown).toBeInstanceOf(ApiError);
  expect(unknown).toMatchObject({ status: 400, message: expect.stringContaining('API_KEY_INVALID') });
  const limited = await generate('&fault=refuse_429').catch((raised) => raised);
  expect(limited).toMatchObject({ status: 429, message: expect.stringContaining('RESOURCE_EXHAUSTED') });
});

test('names in snake_case are understood as well', async () => {
  const { body } = await exchange(simulator.url, {
    path: `/v1beta/models/${modelOf('&tokens=50')}:generateContent`,
    body: {
      contents: [{ parts: [{ text: contents }] }],
      system_instruction: { parts: [{ text: 'Be terse.' }] },
      generation_config: { max_output_tokens: 7 },
    },
  });
  const { usageMetadata } = JSON.parse(body.toString());
  expect(usageMetadata.candidatesTokenCount).toBe(7);
  expect(usageMetadata.promptTokenCount).toBe(promptTokens + 4 + countTokens('Be terse.'));
});

test.each([
  [{}, 'contents is not specified'],
  [{ contents: [] }, 'contents is not specified'],
  [{ contents: [{ role: 'robot', parts: [] }] }, 'Please use a valid role: user, model.'],
  [{ contents: [{ parts: [{ text: 5 }] }] }, "Invalid value at 'contents.0.parts.0.text': 5"],
  [{ contents: [{ parts: [] }], messages: [] }, 'Unknown name "messages": Cannot find field.'],
])('%j is refused in the words of Google', async (body, message) => {
  const response = await exchange(simulator.url, {
    path: '/v1beta/models/sim-small:generateContent',
    body,
  });
  expect(response.status).toBe(400);
  expect(JSON.parse(response.body.toString())).toEqual({
    error: { code: 400, status: 'INVALID_ARGUMENT', message: expect.stringContaining(message) },
  });
});
