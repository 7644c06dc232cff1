import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogle } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, embedMany, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { addTenant, settledTransactionsOf } from './support/gateway.ts';
import { expectPartialCharge, startSetting } from './support/simulated-provider.ts';

// The Vercel AI SDK with its providers, unchanged but for where they send and with which key.

const setting = startSetting();

// It warns of every model whose name it doesn't know, as ours are.
Reflect.set(globalThis, 'AI_SDK_LOG_WARNINGS', false);

const openai = (apiKey: string) => createOpenAI({ baseURL: `${setting.gateway.url}/v1`, apiKey });
const anthropic = (apiKey: string) => createAnthropic({ baseURL: `${setting.gateway.url}/v1`, apiKey });
const google = (apiKey: string) => createGoogle({ baseURL: `${setting.gateway.url}/v1beta`, apiKey });

/** How each provider names a model; OpenAI's default is the Responses API. */
const providers = [
  { name: 'OpenAI', modelFor: (apiKey: string, model: string) => openai(apiKey)(model), most: 1 },
  { name: 'OpenAI chat', modelFor: (apiKey: string, model: string) => openai(apiKey).chat(model), most: 1 },
  // Claude's tokens are not ours: where it reports none, we count and add what was measured.
  { name: 'Anthropic', modelFor: (apiKey: string, model: string) => anthropic(apiKey)(model), most: 2 },
  { name: 'Google', modelFor: (apiKey: string, model: string) => google(apiKey)(model), most: 1 },
] as const;

const prompt = 'Tell me of the sea.';

const weather = tool({
  description: 'The weather in a city',
  inputSchema: jsonSchema<{ city: string }>({
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  }),
  execute: async ({ city }) => `It is sunny in ${city.slice(0, 10)}.`,
});

/** What the SDK tells of one call's usage, and what its ledger row has of it. */
interface Told {
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
}
const billed = ({ inputTokens, outputTokens }: Told) => ({
  type: 'CHARGE',
  status: 'COMMITTED',
  usage_method: 'usage',
  input_tokens: inputTokens,
  output_tokens: outputTokens,
});

const raisedBy = (promise: PromiseLike<unknown>) =>
  Promise.resolve(promise).then(
    () => new Error('nothing was raised'),
    (raised) => raised,
  );

describe.each(providers)('the AI SDK with $name', ({ modelFor, most }) => {
  const model = (name: string) => modelFor(setting.tenant.apiKey, name);

  it('generates text, and the ledger has the tokens that it was told', async () => {
    const { text, usage, finishReason } = await generateText({ model: model('fast'), prompt, maxRetries: 0 });
    expect(text.length).toBeGreaterThan(20);
    expect(finishReason).toBe('stop');
    expect(usage.outputTokens).toBe(30);
    expect(await setting.lastCharge()).toMatchObject(billed(usage));
  });

  it('streams text, and the ledger has the tokens that it was told', async () => {
    const result = streamText({ model: model('fast'), prompt, maxRetries: 0 });
    let text = '';
    for await (const delta of result.textStream) text += delta;
    const usage = await result.usage;
    expect(text.length).toBeGreaterThan(20);
    expect(usage.outputTokens).toBe(30);
    expect(await setting.lastCharge()).toMatchObject(billed(usage));
  });

  it('is told of reasoning and of the cache what it is charged for', async () => {
    const thought = await generateText({ model: model('thinking'), prompt, maxRetries: 0 });
    expect(thought.usage.outputTokens).toBe(50);
    expect(await setting.lastCharge()).toMatchObject(billed(thought.usage));
    const cached = await generateText({ model: model('cached'), prompt, maxRetries: 0 });
    expect(cached.usage.inputTokenDetails.cacheReadTokens).toBe(4);
    const charge = await setting.lastCharge();
    expect(charge).toMatchObject(billed(cached.usage));
    expect(charge.usage.cache_read).toBe(4);
  });

  it.each(['whole', 'streamed'])(
    'calls tools until it has an answer, %s: a row for each step',
    async (how) => {
      const before = await setting.countCharges();
      const asked = {
        model: model('fast'),
        prompt,
        tools: { weather },
        stopWhen: isStepCount(4),
        maxRetries: 0,
      };
      const steps = how === 'whole' ? (await generateText(asked)).steps : await streamText(asked).steps;
      expect(steps.map(({ toolCalls }) => toolCalls.length)).toEqual([1, 0]);
      expect(steps.at(-1)?.text.length).toBeGreaterThan(20);
      const rows = (await settledTransactionsOf(setting.gateway, setting.tenant.id)).slice(before);
      expect(rows).toHaveLength(2);
      for (const [index, row] of rows.entries()) expect(row).toMatchObject(billed(steps[index]!.usage));
      // The second prompt has the call and its result in it.
      expect(steps[1]!.usage.inputTokens).toBeGreaterThan(steps[0]!.usage.inputTokens!);
    },
  );

  it('aborts mid-stream: upstream is stopped, and what was generated until then is charged', async () => {
    const abort = new AbortController();
    const result = streamText({
      model: model('endless'),
      prompt,
      maxRetries: 0,
      abortSignal: abort.signal,
      onError: () => {},
    });
    let received = 0;
    await raisedBy(
      (async () => {
        for await (const _ of result.textStream) {
          received++;
          if (received === 40) abort.abort();
        }
      })(),
    );
    expect(received).toBeLessThan(200);
    await expectPartialCharge(setting, 40, most);
  });

  it('raises its own error with the status for 401, 402, 404 and 429', async () => {
    const poor = await addTenant(setting.gateway, { balance: '0.000001' });
    const limited = await addTenant(setting.gateway, { balance: '10', daily_quota: 1 });
    await generateText({ model: modelFor(limited.apiKey, 'fast'), prompt, maxRetries: 0 });
    for (const [apiKey, name, statusCode, code, isRetryable] of [
      ['tg_wrong', 'fast', 401, 'API_KEY_INVALID', false],
      [poor.apiKey, 'fast', 402, 'QUOTA_BALANCE_EXCEEDED', false],
      [setting.tenant.apiKey, 'nothing', 404, 'MODEL_NOT_FOUND', false],
      [limited.apiKey, 'fast', 429, 'QUOTA_DAILY_EXCEEDED', true],
    ] as const) {
      const error = await raisedBy(generateText({ model: modelFor(apiKey, name), prompt, maxRetries: 0 }));
      expect(APICallError.isInstance(error), String(error)).toBe(true);
      expect(error).toMatchObject({ statusCode, isRetryable });
      expect(error.responseBody).toContain(code);
    }
  });
});

describe('the AI SDK with OpenAI', () => {
  it('completes text in the older format, and the ledger has the tokens that it was told', async () => {
    const model = openai(setting.tenant.apiKey).completion('fast');
    const whole = await generateText({ model, prompt, maxOutputTokens: 100, maxRetries: 0 });
    expect(whole.usage.outputTokens).toBe(30);
    expect(await setting.lastCharge()).toMatchObject(billed(whole.usage));
    const streamed = streamText({ model, prompt, maxOutputTokens: 100, maxRetries: 0 });
    expect((await streamed.text).length).toBeGreaterThan(20);
    expect(await setting.lastCharge()).toMatchObject(billed(await streamed.usage));
  });

  it('embeds, and pays for the input alone', async () => {
    const model = openai(setting.tenant.apiKey).embedding('fast');
    const { embeddings, usage } = await embedMany({
      model,
      values: [prompt, 'And of lakes.'],
      maxRetries: 0,
    });
    expect(embeddings).toHaveLength(2);
    expect(await setting.lastCharge()).toMatchObject(billed({ inputTokens: usage.tokens, outputTokens: 0 }));
  });
});
