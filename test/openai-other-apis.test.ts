import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { addTenant } from './support/gateway.ts';
import { expectCharge, expectPartialCharge, startSetting } from './support/simulated-provider.ts';

// OpenAI's official client on the APIs beside chat completions: responses, completions, embeddings.

const setting = startSetting();
const clientFor = (apiKey: string) =>
  new OpenAI({ baseURL: `${setting.gateway.url}/v1`, apiKey, maxRetries: 0 });
const client = () => clientFor(setting.tenant.apiKey);

const input = 'Tell me of the sea.';
const ask = { model: 'fast', input };
const tools: OpenAI.Responses.FunctionTool[] = [
  {
    type: 'function',
    name: 'weather',
    strict: true,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
  },
];

/** OpenAI counts what a cache had as part of the input, and reasoning as part of the output. */
function classesOf(usage: OpenAI.Responses.ResponseUsage | undefined) {
  if (usage === undefined) throw new Error('the client was told no usage');
  const { cached_tokens: cached } = usage.input_tokens_details;
  const { reasoning_tokens: reasoning } = usage.output_tokens_details;
  return {
    input: usage.input_tokens - cached,
    cache_read: cached,
    output: usage.output_tokens - reasoning,
    reasoning,
  };
}

const raisedBy = (promise: PromiseLike<unknown>) =>
  Promise.resolve(promise).then(
    () => new Error('nothing was raised'),
    (raised) => raised,
  );

describe('responses, by the official client', () => {
  it('are told and charged alike', async () => {
    const { data, response } = await client().responses.create(ask).withResponse();
    expect(data.output_text.length).toBeGreaterThan(20);
    expect(data.usage).toMatchObject({ output_tokens: 30 });
    const charge = await setting.lastCharge();
    expectCharge(charge, classesOf(data.usage));
    expect(response.headers.get('x-billing-amount')).toBe(charge.amount);
    expect(response.headers.get('x-billing-balance')).toBe(charge.balance_after);
    expect(response.headers.get('x-request-id')).toBe(charge.trace_id);
  });

  it('are streamed, event by event as the provider numbers them, and charged their final usage', async () => {
    const events: OpenAI.Responses.ResponseStreamEvent[] = [];
    for await (const event of await client().responses.create({ ...ask, stream: true })) events.push(event);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, at) => at));
    const last = events.at(-1);
    expect(last?.type).toBe('response.completed');
    expectCharge(
      await setting.lastCharge(),
      classesOf(last?.type === 'response.completed' ? last.response.usage : undefined),
    );
  });

  it('are charged for reasoning and for what a cache had at their own prices', async () => {
    const reasoning = { summary: 'auto' } as const;
    for (const params of [
      { ...ask, model: 'thinking' },
      { ...ask, model: 'thinking', reasoning },
      { ...ask, model: 'cached' },
    ]) {
      const whole = await client().responses.create(params);
      expectCharge(await setting.lastCharge(), classesOf(whole.usage));
      const streamed = await client().responses.stream(params).finalResponse();
      expectCharge(await setting.lastCharge(), classesOf(streamed.usage));
      expect(whole.usage?.output_tokens).toBe(params.model === 'thinking' ? 50 : 30);
    }
  });

  it('call tools, in one answer, in a stream, and to the end of a loop', async () => {
    const first = await client().responses.create({ ...ask, tools });
    const [call] = first.output;
    expect(call).toMatchObject({ type: 'function_call', name: 'weather' });
    expectCharge(await setting.lastCharge(), classesOf(first.usage));
    const streamed = await client()
      .responses.stream({ ...ask, tools })
      .finalResponse();
    expect(streamed.output).toMatchObject([{ type: 'function_call', name: 'weather' }]);
    expectCharge(await setting.lastCharge(), classesOf(streamed.usage));
    const callId = call?.type === 'function_call' ? call.call_id : '';
    const last = await client().responses.create({
      model: 'fast',
      tools,
      input: [
        { role: 'user', content: input },
        ...(call?.type === 'function_call' ? [call] : []),
        { type: 'function_call_output', call_id: callId, output: 'Sunny.' },
      ],
    });
    expect(last.output_text.length).toBeGreaterThan(20);
    expectCharge(await setting.lastCharge(), classesOf(last.usage));
  });

  it('continue one another by their ids, and pay for what is remembered', async () => {
    const first = await client().responses.create(ask);
    const next = await client().responses.create({ ...ask, previous_response_id: first.id });
    expect(next.usage!.input_tokens).toBe(2 * first.usage!.input_tokens + 30);
    expectCharge(await setting.lastCharge(), classesOf(next.usage));
    const error = await raisedBy(client().responses.create({ ...ask, previous_response_id: 'resp_nothing' }));
    expect(error).toMatchObject({ status: 400, code: 'previous_response_not_found' });
    expect(await setting.lastCharge()).toMatchObject({ status: 'VOIDED' });
  });

  it('are cut by their own maximum, and pay for no more', async () => {
    const params = { ...ask, max_output_tokens: 16 };
    for (const response of [
      await client().responses.create(params),
      await client().responses.stream(params).finalResponse(),
    ]) {
      expect(response).toMatchObject({ status: 'incomplete', usage: { output_tokens: 16 } });
      expectCharge(await setting.lastCharge(), classesOf(response.usage));
    }
  });

  it('abort mid-stream: upstream is stopped, and what was generated until then is charged', async () => {
    const stream = await client().responses.create({ ...ask, model: 'endless', stream: true });
    let received = 0;
    for await (const event of stream) {
      if (event.type !== 'response.output_text.delta') continue;
      received++;
      if (received === 40) stream.controller.abort();
    }
    await expectPartialCharge(setting, 40);
  });

  it('raise the client’s own error in the midst of a stream, and pay for what came before', async () => {
    let received = 0;
    const error = await raisedBy(
      (async () => {
        const stream = await client().responses.create({ ...ask, model: 'breaking', stream: true });
        for await (const event of stream) if (event.type === 'response.output_text.delta') received++;
      })(),
    );
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ code: 'server_error' });
    const charge = await setting.lastCharge();
    expect(charge).toMatchObject({ status: 'COMMITTED', output_tokens: received });
    expect(received).toBe(16);
  });

  it('raise the client’s own errors', async () => {
    const poor = await addTenant(setting.gateway, { balance: '0.000001' });
    const limited = await addTenant(setting.gateway, { balance: '10', daily_quota: 1 });
    await clientFor(limited.apiKey).responses.create(ask);
    const respond = (apiKey: string, model = 'fast') => clientFor(apiKey).responses.create({ ...ask, model });
    for (const [failing, status, code, type] of [
      [() => respond('tg_wrong'), 401, 'API_KEY_INVALID', OpenAI.AuthenticationError],
      [() => respond(poor.apiKey), 402, 'QUOTA_BALANCE_EXCEEDED', OpenAI.APIError],
      [() => respond(setting.tenant.apiKey, 'nothing'), 404, 'MODEL_NOT_FOUND', OpenAI.NotFoundError],
      [() => respond(limited.apiKey), 429, 'QUOTA_DAILY_EXCEEDED', OpenAI.RateLimitError],
    ] as const) {
      const error = await raisedBy(failing());
      expect(error).toBeInstanceOf(type);
      expect(error).toMatchObject({ status, code });
    }
    const theirs = await raisedBy(client().responses.create({ ...ask, model: 'refusing' }));
    expect(theirs).toBeInstanceOf(OpenAI.RateLimitError);
    expect(await setting.lastCharge()).toMatchObject({ status: 'VOIDED', amount: null });
  });
});

describe('completions, by the official client', () => {
  const complete = { model: 'fast', prompt: input, max_tokens: 100 };

  it('are told and charged alike', async () => {
    const { choices, usage } = await client().completions.create(complete);
    expect(choices[0]!.text.length).toBeGreaterThan(20);
    expectCharge(await setting.lastCharge(), { input: usage!.prompt_tokens, output: 30 });
    const cut = await client().completions.create({ model: 'fast', prompt: input });
    expect(cut.usage!.completion_tokens).toBe(16);
    expectCharge(await setting.lastCharge(), { input: cut.usage!.prompt_tokens, output: 16 });
  });

  it('pay for each prompt and each answer', async () => {
    const { choices, usage } = await client().completions.create({
      ...complete,
      prompt: [input, 'And of lakes.'],
      n: 2,
      best_of: 3,
    });
    expect(choices).toHaveLength(4);
    expect(usage!.completion_tokens).toBe(180);
    expectCharge(await setting.lastCharge(), { input: usage!.prompt_tokens, output: 180 });
  });

  it('are streamed without the usage that was not asked for, and with the one that was', async () => {
    for (const asked of [false, true]) {
      const chunks: OpenAI.Completion[] = [];
      const stream = await client().completions.create({
        ...complete,
        stream: true,
        ...(asked ? { stream_options: { include_usage: true } } : {}),
      });
      for await (const chunk of stream) chunks.push(chunk);
      expect(chunks.some(({ choices }) => choices.length === 0)).toBe(asked);
      expect(chunks.at(-1)?.usage?.completion_tokens).toBe(asked ? 30 : undefined);
      const charge = await setting.lastCharge();
      expectCharge(charge, { input: charge.input_tokens, output: 30 });
    }
  });

  it('abort mid-stream: upstream is stopped, and what was generated until then is charged', async () => {
    const stream = await client().completions.create({
      ...complete,
      max_tokens: 4000,
      model: 'endless',
      stream: true,
    });
    let received = 0;
    for await (const _ of stream) {
      received++;
      if (received === 40) stream.controller.abort();
    }
    await expectPartialCharge(setting, 39);
  });

  it('raise the client’s own errors', async () => {
    const unknown = await raisedBy(client().completions.create({ ...complete, model: 'nothing' }));
    expect(unknown).toBeInstanceOf(OpenAI.NotFoundError);
    const refused = await raisedBy(client().completions.create({ ...complete, model: 'refusing' }));
    expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
    expect(await setting.lastCharge()).toMatchObject({ status: 'VOIDED', amount: null });
  });
});

describe('embeddings, by the official client', () => {
  it('are told and charged alike, for the input alone', async () => {
    const texts = [input, 'And of lakes.'];
    // Without a format the client asks for base64 by itself, and decodes it.
    for (const format of [{}, { encoding_format: 'float' as const }]) {
      const { data, usage } = await client().embeddings.create({ model: 'fast', input: texts, ...format });
      expect(data.map(({ embedding }) => embedding.length)).toEqual([1536, 1536]);
      expect(Math.hypot(...data[0]!.embedding)).toBeCloseTo(1, 5);
      expectCharge(await setting.lastCharge(), { input: usage.prompt_tokens });
    }
  });

  it('take the ids of tokens', async () => {
    const { usage } = await client().embeddings.create({ model: 'fast', input: [[1, 2, 3], [4]] });
    expect(usage.prompt_tokens).toBe(4);
    expectCharge(await setting.lastCharge(), { input: 4 });
  });

  it('raise the client’s own errors', async () => {
    const unknown = await raisedBy(client().embeddings.create({ model: 'nothing', input }));
    expect(unknown).toBeInstanceOf(OpenAI.NotFoundError);
    const refused = await raisedBy(client().embeddings.create({ model: 'refusing', input }));
    expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
    expect(await setting.lastCharge()).toMatchObject({ status: 'VOIDED', amount: null });
  });
});
