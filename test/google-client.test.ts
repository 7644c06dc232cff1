import { ApiError, type GenerateContentResponse, GoogleGenAI, Type } from '@google/genai';
import { describe, expect, it } from 'vitest';
import { addTenant } from './support/gateway.ts';
import { expectCharge, expectPartialCharge, startSetting } from './support/simulated-provider.ts';

// Google's official client, unchanged but for where it sends and with which key.

const setting = startSetting();
const clientFor = (apiKey: string) =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl: setting.gateway.url } });
const client = () => clientFor(setting.tenant.apiKey);

const ask = { model: 'fast', contents: 'Tell me of the sea.' };
const tools = [
  {
    functionDeclarations: [
      {
        name: 'weather',
        parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ['city'] },
      },
    ],
  },
];

type Told = GenerateContentResponse['usageMetadata'];

/** Google counts thoughts beside the candidates. */
const classesOf = (told: Told) => ({
  input: (told?.promptTokenCount ?? 0) - (told?.cachedContentTokenCount ?? 0),
  cache_read: told?.cachedContentTokenCount ?? 0,
  output: told?.candidatesTokenCount ?? 0,
  reasoning: told?.thoughtsTokenCount ?? 0,
});

async function streamed(params: Parameters<GoogleGenAI['models']['generateContentStream']>[0]) {
  const chunks: GenerateContentResponse[] = [];
  for await (const chunk of await client().models.generateContentStream(params)) chunks.push(chunk);
  return chunks;
}

const raisedBy = (promise: Promise<unknown>) =>
  promise.then(
    () => new Error('nothing was raised'),
    (raised) => raised,
  );

describe('the official Google client', () => {
  it('gets an answer, and the ledger has the tokens that it was told', async () => {
    const response = await client().models.generateContent(ask);
    expect(response.text!.length).toBeGreaterThan(20);
    expect(response.usageMetadata?.candidatesTokenCount).toBe(30);
    const charge = await setting.lastCharge();
    expectCharge(charge, classesOf(response.usageMetadata));
    const headers = response.sdkHttpResponse?.headers ?? {};
    expect(headers['x-billing-amount']).toBe(charge.amount);
    expect(headers['x-request-id']).toBe(charge.trace_id);
  });

  it('streams an answer, and is charged the usage of its last event', async () => {
    const chunks = await streamed(ask);
    expect(chunks.length).toBeGreaterThan(20);
    expect(chunks.at(-1)?.candidates?.[0]?.finishReason).toBe('STOP');
    expectCharge(await setting.lastCharge(), classesOf(chunks.at(-1)?.usageMetadata));
    expect(chunks.at(-1)?.usageMetadata?.candidatesTokenCount).toBe(30);
  });

  it('is charged for thoughts, told or not, and for what a cache had, each at its own price', async () => {
    const told = { thinkingConfig: { includeThoughts: true } };
    for (const params of [
      { ...ask, model: 'thinking' },
      { ...ask, model: 'thinking', config: told },
      { ...ask, model: 'cached' },
    ]) {
      const { usageMetadata } = await client().models.generateContent(params);
      if (params.model === 'thinking') expect(usageMetadata?.thoughtsTokenCount).toBe(20);
      else expect(usageMetadata?.cachedContentTokenCount).toBe(4);
      expectCharge(await setting.lastCharge(), classesOf(usageMetadata));
      const chunks = await streamed(params);
      expectCharge(await setting.lastCharge(), classesOf(chunks.at(-1)?.usageMetadata));
    }
  });

  it('calls functions, in one answer, in a stream, and to the end of a loop', async () => {
    const config = { tools };
    const first = await client().models.generateContent({ ...ask, config });
    expect(first.functionCalls).toMatchObject([{ name: 'weather', args: { city: expect.any(String) } }]);
    expectCharge(await setting.lastCharge(), classesOf(first.usageMetadata));
    const chunks = await streamed({ ...ask, config });
    expect(chunks.flatMap(({ functionCalls }) => functionCalls ?? [])).toHaveLength(1);
    expectCharge(await setting.lastCharge(), classesOf(chunks.at(-1)?.usageMetadata));
    const last = await client().models.generateContent({
      ...ask,
      config,
      contents: [
        { role: 'user', parts: [{ text: ask.contents }] },
        first.candidates![0]!.content!,
        { role: 'user', parts: [{ functionResponse: { name: 'weather', response: { is: 'sunny' } } }] },
      ],
    });
    expect(last.functionCalls).toBeUndefined();
    expectCharge(await setting.lastCharge(), classesOf(last.usageMetadata));
  });

  it('chats over several turns', async () => {
    const chat = client().chats.create({ model: 'fast' });
    const first = await chat.sendMessage({ message: 'Tell me of the sea.' });
    const second = await chat.sendMessage({ message: 'And of lakes.' });
    expect(second.usageMetadata!.promptTokenCount).toBeGreaterThan(
      first.usageMetadata!.promptTokenCount! + 30,
    );
    expectCharge(await setting.lastCharge(), classesOf(second.usageMetadata));
  });

  it('is cut by its own maximum, and pays for no more', async () => {
    const { candidates, usageMetadata } = await client().models.generateContent({
      ...ask,
      config: { maxOutputTokens: 10 },
    });
    expect(candidates?.[0]?.finishReason).toBe('MAX_TOKENS');
    expect(usageMetadata?.candidatesTokenCount).toBe(10);
    expectCharge(await setting.lastCharge(), classesOf(usageMetadata));
  });

  it('aborts mid-stream: upstream is stopped, and what was generated until then is charged', async () => {
    const abort = new AbortController();
    const stream = await client().models.generateContentStream({
      ...ask,
      model: 'endless',
      config: { abortSignal: abort.signal },
    });
    let received = 0;
    await raisedBy(
      (async () => {
        for await (const _ of stream) {
          received++;
          if (received === 40) abort.abort();
        }
      })(),
    );
    expect(received).toBeLessThan(200);
    await expectPartialCharge(setting, 40);
  });

  it('counts tokens for nothing: no ledger row, and what an answer to that prompt is charged', async () => {
    const before = await setting.countCharges();
    const { totalTokens } = await client().models.countTokens(ask);
    expect(await setting.countCharges()).toBe(before);
    const { usageMetadata } = await client().models.generateContent(ask);
    expect(usageMetadata?.promptTokenCount).toBe(totalTokens);
    expect(await setting.countCharges()).toBe(before + 1);
  });

  it('raises its own error for an error in the midst of a stream, and pays for what came before', async () => {
    const error = await raisedBy(streamed({ ...ask, model: 'breaking' }));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 500 });
    const charge = await setting.lastCharge();
    expect(charge.status).toBe('COMMITTED');
    expect(charge.output_tokens).toBe(20);
  });

  it('raises its own error with the status for 401, 402, 400 and 404', async () => {
    const poor = await addTenant(setting.gateway, { balance: '0.000001' });
    const wrong = { ...ask, config: { maxOutputTokens: -1 } };
    for (const [failing, status, code] of [
      [() => clientFor('tg_wrong').models.generateContent(ask), 401, 'API_KEY_INVALID'],
      [() => clientFor(poor.apiKey).models.generateContent(ask), 402, 'QUOTA_BALANCE_EXCEEDED'],
      [() => client().models.generateContent(wrong), 400, 'REQUEST_INVALID'],
      [() => client().models.generateContent({ ...ask, model: 'nothing' }), 404, 'MODEL_NOT_FOUND'],
    ] as const) {
      const error = await raisedBy(failing());
      expect(error).toBeInstanceOf(ApiError);
      expect(error).toMatchObject({ status, message: expect.stringContaining(code) });
    }
  });

  it("raises its own error for 429, the gateway's and the provider's alike", async () => {
    const limited = await addTenant(setting.gateway, { balance: '10', daily_quota: 1 });
    await clientFor(limited.apiKey).models.generateContent(ask);
    const ours = await raisedBy(clientFor(limited.apiKey).models.generateContent(ask));
    expect(ours).toMatchObject({ status: 429, message: expect.stringContaining('QUOTA_DAILY_EXCEEDED') });
    const theirs = await raisedBy(client().models.generateContent({ ...ask, model: 'refusing' }));
    expect(theirs).toMatchObject({ status: 429 });
    expect(await setting.lastCharge()).toMatchObject({ status: 'VOIDED', amount: null });
  });
});
