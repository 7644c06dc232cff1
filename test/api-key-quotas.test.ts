import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { parseAmount } from '../src/domain/money.ts';
import type { AnyJson } from './support/admin-plane.ts';
import { addTenant, settledTransactionsOf } from './support/gateway.ts';
import { startSetting } from './support/simulated-provider.ts';

// Quotas of API keys, as the official clients meet them and as the admin sees them.

const setting = startSetting();

/** Faster than the others, and without dearer kinds of output. */
const river = {
  routes: [{ upstream: 'simulated', upstream_model: 'sim?ttfb_ms=0&tokens_per_second=4000&tokens=4000' }],
  rates: { input_per_1m: '1.00', output_per_1m: '3.00' },
  max_output_tokens: 8000,
};
const stepNano = 512n * 3000n;

const messages = [{ role: 'user' as const, content: 'Tell me of the sea.' }];

const raisedBy = (promise: PromiseLike<unknown>) =>
  Promise.resolve(promise).then(
    () => new Error('nothing was raised'),
    (raised) => raised,
  );

/** A tenant with money, and an API key of it with these quotas. */
async function keyWith(...quotas: readonly object[]) {
  const tenant = await addTenant(setting.gateway, { balance: '100' });
  const path = `/tenants/${tenant.id}/api-keys`;
  const { id, secret } = await setting.gateway.admin('POST', path, { name: 'limited', quotas });
  const answers: Headers[] = [];
  const recorded: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    answers.push(response.headers);
    return response;
  };
  const client = (apiKey: string) =>
    new OpenAI({ baseURL: `${setting.gateway.url}/v1`, apiKey, maxRetries: 2, fetch: recorded });
  return {
    tenant,
    id,
    answers,
    secret: secret as string,
    openai: client(secret),
    otherKey: client(tenant.apiKey),
    /** As `GET` tells them, by type. */
    quotas: async (): Promise<Record<string, AnyJson>> => {
      const { data } = await setting.gateway.admin('GET', path);
      const { quotas } = data.find((one: AnyJson) => one.id === id);
      return Object.fromEntries(quotas.map((one: AnyJson) => [one.quota_type, one]));
    },
    reset: (quota_type: string, reset_period: string) =>
      setting.gateway.admin('POST', `/tenants/${tenant.id}/resets`, {
        api_key_quotas: [{ api_key_id: id, quota_type, reset_period }],
      }),
    charges: async () =>
      (await settledTransactionsOf(setting.gateway, tenant.id)).filter((one) => one.api_key_id !== null),
  };
}

const quota = (quota_type: string, reset_period: string, total_quota: number | string) => ({
  quota_type,
  reset_period,
  total_quota,
});

describe('a quota of requests of an API key', () => {
  it('for life is a typed error that no client tries again, and leaves the other keys alone', async () => {
    const key = await keyWith(quota('requests', 'never', 1));
    const ask = () => key.openai.chat.completions.create({ model: 'fast', messages });
    await ask();
    const error = await raisedBy(ask());
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error).toMatchObject({ status: 429, code: 'API_KEY_QUOTA_EXCEEDED' });
    expect(error.message).toContain('Nothing was charged');
    expect(key.answers).toHaveLength(2);
    expect(key.answers[1]?.get('x-should-retry')).toBe('false');
    expect(key.answers[1]?.get('retry-after')).toBeNull();
    await key.otherKey.chat.completions.create({ model: 'fast', messages });
    expect(await key.charges()).toHaveLength(2);
    expect(await key.quotas()).toMatchObject({ requests: { used_quota: 1, reset_at: null } });
  });

  it('of a day tells Anthropic clients when to come back, and is free at once when the admin resets it', async () => {
    const key = await keyWith(quota('requests', 'daily', 1));
    const client = new Anthropic({ baseURL: setting.gateway.url, apiKey: key.secret, maxRetries: 0 });
    const ask = () => client.messages.create({ model: 'fast', max_tokens: 100, messages });
    await ask();
    const error = await raisedBy(ask());
    expect(error).toBeInstanceOf(Anthropic.RateLimitError);
    const retryAfterSeconds = Number(error.headers.get('retry-after'));
    expect(retryAfterSeconds).toBeGreaterThan(0);
    expect(retryAfterSeconds).toBeLessThanOrEqual(86_400);
    await key.reset('requests', 'daily');
    await ask();
    expect(await key.quotas()).toMatchObject({ requests: { used_quota: 1 } });
  });
});

describe('a quota of tokens of an API key', () => {
  it('cuts the maximum that a client did not set, and counts what was used', async () => {
    const key = await keyWith(quota('tokens', 'monthly', 400));
    const { usage } = await key.openai.chat.completions.create({ model: 'fast', messages });
    expect(await key.quotas()).toMatchObject({
      tokens: { total_quota: 400, used_quota: usage?.total_tokens },
    });
    const error = await raisedBy(
      key.openai.chat.completions.create({ model: 'fast', messages, max_tokens: 400 }),
    );
    expect(error).toMatchObject({ status: 429, code: 'API_KEY_QUOTA_EXCEEDED' });
    expect(error.message).toContain(`${400 - (usage?.total_tokens ?? 0)} left`);
  });
});

describe('an amount that an API key may spend', () => {
  it('ends the stream that reaches it, which pays for what was delivered and no more than that', async () => {
    await setting.gateway.admin('PUT', '/models/river', river);
    const key = await keyWith(quota('amount', 'never', '0.004'), quota('tokens', 'daily', 1_000_000));
    const stream = await key.openai.chat.completions.create({ model: 'river', messages, stream: true });
    let text = '';
    const error = await raisedBy(
      (async () => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      })(),
    );
    expect(error).toMatchObject({ code: 'API_KEY_QUOTA_EXCEEDED' });
    expect(text.length).toBeGreaterThan(100);
    const [charge] = await key.charges();
    expect(charge).toMatchObject({ status: 'COMMITTED', usage_method: 'tiktoken' });
    const { amount, tokens } = await key.quotas();
    expect(amount?.used_quota).toBe(charge.amount);
    expect(tokens?.used_quota).toBe(charge.input_tokens + charge.output_tokens);
    expect(parseAmount(charge.amount)).toBeGreaterThan(0n);
    // The tenant's own rule for streams says by how much: never by more than a step.
    expect(parseAmount(charge.amount)).toBeLessThanOrEqual(parseAmount('0.004') + stepNano);
  });

  it('and what its transactions come to never differ, whatever ends them', async () => {
    const key = await keyWith(quota('amount', 'daily', '1'), quota('requests', 'monthly', 1_000));
    const ask = (model: string) => key.openai.chat.completions.create({ model, messages, max_tokens: 60 });
    const models = ['fast', 'thinking', 'cached', 'refusing', 'breaking'];
    await Promise.allSettled(Array.from({ length: 25 }, (_, index) => ask(models[index % models.length]!)));
    const charges = (await key.charges()).filter(({ status }) => status === 'COMMITTED');
    const sum = charges.reduce((total, { amount }) => total + parseAmount(amount), 0n);
    const { amount, requests } = await key.quotas();
    expect(parseAmount(amount?.used_quota)).toBe(sum);
    expect(requests?.used_quota).toBe(charges.length);
    expect(charges.length).toBeGreaterThanOrEqual(15);
    expect(sum).toBeGreaterThan(0n);
  });
});
