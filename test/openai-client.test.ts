import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';

// The official client, unchanged but for where it sends and with which key.

let gateway: TestGateway;
let simulator: Simulator;
let tenant: TestTenant;
let client: OpenAI;

const messages = [{ role: 'user' as const, content: 'Tell me of the sea.' }];

beforeAll(async () => {
  simulator = await startSimulator();
  gateway = await startGateway();
  const at = (directives: string) => ({
    baseUrl: simulator.url,
    upstreamModel: `sim?ttfb_ms=0&tokens_per_second=0${directives}`,
  });
  await addModel(gateway, 'fast', at('&tokens=30'));
  await addModel(gateway, 'endless', {
    baseUrl: simulator.url,
    upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=200&tokens=4000',
  });
  await addModel(gateway, 'refusing', at('&fault=refuse_429'));
});

beforeAll(async () => {
  tenant = await addTenant(gateway);
  client = clientFor(tenant.apiKey);
});

afterAll(async () => {
  await gateway.stop();
  await simulator.close();
});

function clientFor(apiKey: string): OpenAI {
  return new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 });
}

async function lastCharge() {
  return (await settledTransactionsOf(gateway, tenant.id)).at(-1);
}

describe('the official OpenAI client', () => {
  it('gets an answer, is told what it cost, and the ledger has the tokens that it was told', async () => {
    const { data, response } = await client.chat.completions
      .create({ model: 'fast', messages })
      .withResponse();
    expect(data.choices[0]?.message.content?.length).toBeGreaterThan(20);
    const charge = await lastCharge();
    expect(charge).toMatchObject({
      status: 'COMMITTED',
      input_tokens: data.usage?.prompt_tokens,
      output_tokens: data.usage?.completion_tokens,
      usage_method: 'usage',
    });
    expect(response.headers.get('x-billing-amount')).toBe(charge.amount);
    expect(response.headers.get('x-billing-balance')).toBe(charge.balance_after);
    expect(response.headers.get('x-billing-transaction-id')).toBe(charge.id);
    expect(response.headers.get('x-request-id')).toBe(charge.trace_id);
  });

  it('streams without seeing the usage that it did not ask for, which is billed all the same', async () => {
    const stream = await client.chat.completions.create({ model: 'fast', messages, stream: true });
    let text = '';
    for await (const chunk of stream) {
      expect(chunk.choices).toHaveLength(1);
      text += chunk.choices[0]?.delta.content ?? '';
    }
    expect(text.length).toBeGreaterThan(20);
    expect(await lastCharge()).toMatchObject({ output_tokens: 30, usage_method: 'usage' });
  });

  it('gets the usage that it asks for with stream_options, and is billed just that', async () => {
    const stream = await client.chat.completions.create({
      model: 'fast',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) usage = chunk.usage ?? usage;
    expect(await lastCharge()).toMatchObject({
      input_tokens: usage?.prompt_tokens,
      output_tokens: usage?.completion_tokens,
    });
  });

  const tools: OpenAI.ChatCompletionTool[] = [
    {
      type: 'function',
      function: {
        name: 'weather',
        parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    },
  ];

  it('calls tools, in one answer and in a stream', async () => {
    const answer = await client.chat.completions.create({ model: 'fast', messages, tools });
    const call = answer.choices[0]?.message.tool_calls?.[0];
    expect(call).toMatchObject({ type: 'function', function: { name: 'weather' } });
    const runner = client.chat.completions.stream({ model: 'fast', messages, tools });
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: 'weather' } });
    expect((await lastCharge()).output_tokens).toBeGreaterThan(0);
  });

  it('gets two answers for n = 2 and pays for both', async () => {
    const answer = await client.chat.completions.create({ model: 'fast', messages, n: 2 });
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1]);
    expect(await lastCharge()).toMatchObject({ output_tokens: answer.usage?.completion_tokens });
  });

  it('aborts mid-stream: upstream is stopped, and what was generated until then is charged', async () => {
    const stream = await client.chat.completions.create({ model: 'endless', messages, stream: true });
    let received = 0;
    for await (const _ of stream) {
      received++;
      if (received === 40) stream.controller.abort();
    }
    const charge = await lastCharge();
    expect(charge).toMatchObject({ status: 'COMMITTED', usage_method: 'tiktoken' });
    expect(charge.output_tokens).toBeGreaterThanOrEqual(38);
    expect(charge.output_tokens).toBeLessThan(3000);
    expect(charge.input_tokens).toBeGreaterThan(0);
    expect(simulator.requests.last).toMatchObject({ outcome: 'aborted' });
    // Ours may be behind by the tokens that were on their way to us when we hung up, never ahead.
    expect(charge.output_tokens).toBeLessThanOrEqual(simulator.requests.last!.tokensSent);
  });

  it('lists the models', async () => {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    expect(names).toEqual(['endless', 'fast', 'refusing']);
    expect(await client.models.retrieve('fast')).toMatchObject({ id: 'fast', object: 'model' });
    await expect(client.models.retrieve('nothing')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it('raises its own error for 401, and says which code', async () => {
    const error = await clientFor('tg_wrong')
      .chat.completions.create({ model: 'fast', messages })
      .catch((raised) => raised);
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(error).toMatchObject({ status: 401, code: 'API_KEY_INVALID' });
  });

  it('raises its own error for 402, which names the affordable tokens', async () => {
    const poor = await addTenant(gateway, { balance: '0.001' });
    const error = await clientFor(poor.apiKey)
      .chat.completions.create({ model: 'fast', messages, max_tokens: 100_000 })
      .catch((raised) => raised);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ status: 402, code: 'QUOTA_BALANCE_EXCEEDED', type: 'insufficient_quota' });
    expect(error.message).toMatch(/affordable output tokens: \d{3}/);
  });

  it('raises its own error for 404', async () => {
    const error = await client.chat.completions
      .create({ model: 'nothing', messages })
      .catch((raised) => raised);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ status: 404, code: 'MODEL_NOT_FOUND', param: 'model' });
  });

  it("raises its own error for 429, the gateway's and the provider's alike", async () => {
    const limited = await addTenant(gateway, { balance: '10', daily_quota: 1 });
    const limitedClient = clientFor(limited.apiKey);
    await limitedClient.chat.completions.create({ model: 'fast', messages });
    const ours = await limitedClient.chat.completions
      .create({ model: 'fast', messages })
      .catch((raised) => raised);
    expect(ours).toBeInstanceOf(OpenAI.RateLimitError);
    expect(ours).toMatchObject({ status: 429, code: 'QUOTA_DAILY_EXCEEDED' });
    expect(Number(ours.headers.get('retry-after'))).toBeGreaterThan(0);
    const theirs = await client.chat.completions
      .create({ model: 'refusing', messages })
      .catch((raised) => raised);
    expect(theirs).toBeInstanceOf(OpenAI.RateLimitError);
    expect(await lastCharge()).toMatchObject({ status: 'VOIDED', amount: null });
  });

  it('does not retry a 402', async () => {
    const poor = await addTenant(gateway, { balance: '0' });
    let sent = 0;
    const counting: typeof fetch = (input, init) => {
      sent++;
      return fetch(input, init);
    };
    const retrying = new OpenAI({
      baseURL: `${gateway.url}/v1`,
      apiKey: poor.apiKey,
      maxRetries: 3,
      fetch: counting,
    });
    const error = await retrying.chat.completions
      .create({ model: 'fast', messages })
      .catch((raised) => raised);
    expect(error).toMatchObject({ status: 402 });
    expect(sent).toBe(1);
  });
});
