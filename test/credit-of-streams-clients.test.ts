import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { addTenant, settledTransactionsOf } from './support/gateway.ts';
import { startSetting } from './support/simulated-provider.ts';

// What the official clients make of a stream that the balance ends.

const setting = startSetting();
const defaultHeaders = {
  'x-sim-tokens': '4000',
  'x-sim-tokens-per-second': '0',
  'x-sim-ignore-maximum': 'true',
};
const messages = [{ role: 'user' as const, content: 'Tell me of the sea.' }];

/** The error that ends a stream, the text before it, and what was charged. */
async function endOf(run: (apiKey: string, take: (text: string) => void) => Promise<void>) {
  const tenant = await addTenant(setting.gateway, { balance: '0.002' });
  let text = '';
  const error = await run(tenant.apiKey, (more) => {
    text += more;
  }).then(
    () => null,
    (raised) => raised,
  );
  const [, charge] = await settledTransactionsOf(setting.gateway, tenant.id);
  return { error, text, charge };
}

describe('a stream that the balance ends', () => {
  it("is an APIError with our code to OpenAI's client, behind what was delivered", async () => {
    const { error, text, charge } = await endOf(async (apiKey, take) => {
      const client = new OpenAI({ baseURL: `${setting.gateway.url}/v1`, apiKey, defaultHeaders });
      const stream = await client.chat.completions.create({ model: 'fast', stream: true, messages });
      for await (const chunk of stream) take(chunk.choices[0]?.delta.content ?? '');
    });
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ code: 'QUOTA_BALANCE_EXCEEDED', type: 'insufficient_quota' });
    expect(text.length).toBeGreaterThan(500);
    expect(charge).toMatchObject({ status: 'COMMITTED', usage_method: 'tiktoken' });
  });

  it("is an APIError with our code to Anthropic's client, behind what was delivered", async () => {
    const { error, text, charge } = await endOf(async (apiKey, take) => {
      const client = new Anthropic({ baseURL: setting.gateway.url, apiKey, defaultHeaders });
      const runner = client.messages.stream({ model: 'fast', max_tokens: 4000, messages });
      runner.on('text', take);
      await runner.finalMessage();
    });
    expect(error).toBeInstanceOf(Anthropic.APIError);
    expect(error).toMatchObject({ error: { error: { code: 'QUOTA_BALANCE_EXCEEDED' } } });
    expect(text.length).toBeGreaterThan(500);
    expect(charge).toMatchObject({ status: 'COMMITTED' });
  });

  it("is an ApiError to Google's client, behind what was delivered", async () => {
    const { error, text, charge } = await endOf(async (apiKey, take) => {
      const client = new GoogleGenAI({
        apiKey,
        httpOptions: { baseUrl: setting.gateway.url, headers: defaultHeaders },
      });
      const stream = await client.models.generateContentStream({
        model: 'fast',
        contents: 'Tell me of the sea.',
      });
      for await (const chunk of stream) take(chunk.text ?? '');
    });
    expect(error).toMatchObject({
      name: 'ApiError',
      message: expect.stringContaining('QUOTA_BALANCE_EXCEEDED'),
    });
    expect(text.length).toBeGreaterThan(500);
    expect(charge).toMatchObject({ status: 'COMMITTED' });
  });
});
