import Anthropic from '@anthropic-ai/sdk';
import { describe, expect, it } from 'vitest';
import { addTenant } from './support/gateway.ts';
import { expectCharge, expectPartialCharge, startSetting } from './support/simulated-provider.ts';

// Anthropic's official client, unchanged but for where it sends and with which key.

const setting = startSetting();
const clientFor = (apiKey: string, maxRetries = 0) =>
  new Anthropic({ baseURL: setting.gateway.url, apiKey, maxRetries });
const client = () => clientFor(setting.tenant.apiKey);

const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'Tell me of the sea.' }];
const ask = { model: 'fast', max_tokens: 2000, messages };
const tools: Anthropic.Tool[] = [
  {
    name: 'weather',
    input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
];

const raisedBy = (promise: PromiseLike<unknown>) =>
  Promise.resolve(promise).then(
    () => new Error('nothing was raised'),
    (raised) => raised,
  );

describe('the official Anthropic client', () => {
  it('gets a message, is told what it cost, and the ledger has the tokens that it was told', async () => {
    const { data, response } = await client().messages.create(ask).withResponse();
    expect(data).toMatchObject({ type: 'message', stop_reason: 'end_turn', model: 'sim' });
    const charge = await setting.lastCharge();
    expectCharge(charge, { input: data.usage.input_tokens, output: data.usage.output_tokens });
    expect(response.headers.get('x-billing-amount')).toBe(charge.amount);
    expect(response.headers.get('x-billing-balance')).toBe(charge.balance_after);
    expect(response.headers.get('x-request-id')).toBe(charge.trace_id);
  });

  it('streams a message, and is charged its final usage', async () => {
    const runner = client().messages.stream(ask);
    let text = '';
    runner.on('text', (delta) => {
      text += delta;
    });
    const message = await runner.finalMessage();
    expect(message.content).toMatchObject([{ type: 'text', text }]);
    expect(message.usage.output_tokens).toBe(30);
    expectCharge(await setting.lastCharge(), { input: message.usage.input_tokens, output: 30 });
  });

  it('is charged what a cache had and took at its own price, in one answer and in a stream', async () => {
    const model = 'cached';
    for (const { usage } of [
      await client().messages.create({ ...ask, model }),
      await client()
        .messages.stream({ ...ask, model })
        .finalMessage(),
    ]) {
      expect(usage).toMatchObject({ cache_read_input_tokens: 4, cache_creation_input_tokens: 5 });
      expectCharge(await setting.lastCharge(), {
        input: usage.input_tokens,
        cache_read: 4,
        cache_write_5m: 3,
        cache_write_1h: 2,
        output: 30,
      });
    }
  });

  it('thinks, and is charged for the thoughts among the output', async () => {
    const thinking = { type: 'enabled', budget_tokens: 1024 } as const;
    for (const message of [
      await client().messages.create({ ...ask, model: 'thinking', thinking }),
      await client()
        .messages.stream({ ...ask, model: 'thinking', thinking })
        .finalMessage(),
    ]) {
      expect(message.content.map(({ type }) => type)).toEqual(['thinking', 'text']);
      expect(message.usage.output_tokens).toBe(50);
      const charge = await setting.lastCharge();
      expect(charge).toMatchObject({
        status: 'COMMITTED',
        usage_method: 'usage',
        input_tokens: message.usage.input_tokens,
        output_tokens: 50,
      });
    }
  });

  it('uses tools, in one answer, in a stream, and to the end of a loop', async () => {
    const first = await client().messages.create({ ...ask, tools });
    const [use] = first.content;
    expect(first.stop_reason).toBe('tool_use');
    expect(use).toMatchObject({ type: 'tool_use', name: 'weather', input: { city: expect.any(String) } });
    expectCharge(await setting.lastCharge(), {
      input: first.usage.input_tokens,
      output: first.usage.output_tokens,
    });
    const streamed = await client()
      .messages.stream({ ...ask, tools })
      .finalMessage();
    expect(streamed.content).toMatchObject([{ type: 'tool_use', input: { city: expect.any(String) } }]);
    const toolUseId = use?.type === 'tool_use' ? use.id : '';
    const last = await client().messages.create({
      ...ask,
      tools,
      messages: [
        ...messages,
        { role: 'assistant', content: first.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: toolUseId, content: 'Sunny.' }] },
      ],
    });
    expect(last).toMatchObject({ stop_reason: 'end_turn', content: [{ type: 'text' }] });
    expectCharge(await setting.lastCharge(), {
      input: last.usage.input_tokens,
      output: last.usage.output_tokens,
    });
  });

  it('is cut by its own maximum, and pays for no more', async () => {
    const message = await client().messages.create({ ...ask, max_tokens: 10 });
    expect(message.stop_reason).toBe('max_tokens');
    expectCharge(await setting.lastCharge(), { input: message.usage.input_tokens, output: 10 });
  });

  it('aborts mid-stream: upstream is stopped, and what was generated until then is charged', async () => {
    const stream = await client().messages.create({ ...ask, model: 'endless', stream: true });
    let received = 0;
    for await (const event of stream) {
      if (event.type !== 'content_block_delta') continue;
      received++;
      if (received === 40) stream.controller.abort();
    }
    // Claude's tokens are not ours: where it reports none, we count by o200k_base and add what was measured.
    await expectPartialCharge(setting, received, 2);
  });

  it('counts tokens for nothing: no ledger row, and what a message with that prompt is charged', async () => {
    const before = await setting.countCharges();
    const { input_tokens: counted } = await client().messages.countTokens({ model: 'fast', messages });
    expect(await setting.countCharges()).toBe(before);
    const { usage } = await client().messages.create(ask);
    expect(usage.input_tokens).toBe(counted);
    expect(await setting.countCharges()).toBe(before + 1);
  });

  it('raises its own error for an error in the midst of a stream, and pays for what came before', async () => {
    const stream = await client().messages.create({ ...ask, model: 'breaking', stream: true });
    let received = 0;
    const error = await raisedBy(
      (async () => {
        for await (const event of stream) if (event.type === 'content_block_delta') received++;
      })(),
    );
    expect(error).toBeInstanceOf(Anthropic.APIError);
    expect(received).toBeGreaterThan(10);
    const charge = await setting.lastCharge();
    expect(charge.status).toBe('COMMITTED');
    expect(charge.output_tokens).toBeGreaterThanOrEqual(received);
  });

  it('raises its own error for 401', async () => {
    const error = await raisedBy(clientFor('tg_wrong').messages.create(ask));
    expect(error).toBeInstanceOf(Anthropic.AuthenticationError);
    expect(error).toMatchObject({ status: 401, type: 'authentication_error' });
    expect(error.message).toContain('API_KEY_INVALID');
  });

  it('raises its own error for 402, which it does not retry', async () => {
    const poor = await addTenant(setting.gateway, { balance: '0.000001' });
    const asked = setting.simulator.requests.count;
    const error = await raisedBy(clientFor(poor.apiKey, 3).messages.create(ask));
    expect(error).toBeInstanceOf(Anthropic.APIError);
    expect(error).toMatchObject({ status: 402 });
    expect(error.message).toContain('QUOTA_BALANCE_EXCEEDED');
    expect(error.headers.get('x-should-retry')).toBe('false');
    expect(setting.simulator.requests.count).toBe(asked);
  });

  it('raises its own error for 400 and for 404', async () => {
    const wrong = await raisedBy(client().messages.create({ ...ask, messages: [] }));
    expect(wrong).toBeInstanceOf(Anthropic.BadRequestError);
    expect(wrong).toMatchObject({ type: 'invalid_request_error' });
    const unknown = await raisedBy(client().messages.create({ ...ask, model: 'nothing' }));
    expect(unknown).toBeInstanceOf(Anthropic.NotFoundError);
    expect(unknown).toMatchObject({ type: 'not_found_error' });
    expect(unknown.message).toContain('MODEL_NOT_FOUND');
  });

  it("raises its own error for 429, the gateway's and the provider's alike", async () => {
    const limited = await addTenant(setting.gateway, { balance: '10', daily_quota: 1 });
    await clientFor(limited.apiKey).messages.create(ask);
    const ours = await raisedBy(clientFor(limited.apiKey).messages.create(ask));
    expect(ours).toBeInstanceOf(Anthropic.RateLimitError);
    expect(ours.message).toContain('QUOTA_DAILY_EXCEEDED');
    expect(Number(ours.headers.get('retry-after'))).toBeGreaterThan(0);
    const theirs = await raisedBy(client().messages.create({ ...ask, model: 'refusing' }));
    expect(theirs).toBeInstanceOf(Anthropic.RateLimitError);
    expect(await setting.lastCharge()).toMatchObject({ status: 'VOIDED', amount: null });
  });
});
