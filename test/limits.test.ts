import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { addTenant, settledTransactionsOf } from './support/gateway.ts';
import { startSetting } from './support/simulated-provider.ts';

// Limits of a tenant and of its API keys, as the official clients meet them.

const setting = startSetting({ env: { TRUSTED_PROXIES: '127.0.0.0/8' } });

const messages = [{ role: 'user' as const, content: 'Tell me of the sea.' }];

interface Call {
  readonly status: number;
  readonly headers: Headers;
  readonly atMs: number;
}

/** A `fetch` that writes down what came of every call. */
function recorder() {
  const calls: Call[] = [];
  const recorded: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    calls.push({ status: response.status, headers: response.headers, atMs: performance.now() });
    return response;
  };
  return { calls, fetch: recorded };
}

function openai(apiKey: string, options: { readonly maxRetries?: number } = {}) {
  const { calls, fetch } = recorder();
  const client = new OpenAI({
    baseURL: `${setting.gateway.url}/v1`,
    apiKey,
    maxRetries: options.maxRetries ?? 0,
    fetch,
  });
  return {
    calls,
    ask: (model = 'fast', more: { readonly max_tokens?: number } = {}) =>
      client.chat.completions.create({ model, messages, ...more }),
    stream: () => client.chat.completions.create({ model: 'endless', messages, stream: true }),
  };
}

function anthropic(apiKey: string, options: { readonly maxRetries?: number } = {}) {
  const { calls, fetch } = recorder();
  const baseURL = setting.gateway.url;
  const client = new Anthropic({ baseURL, apiKey, maxRetries: options.maxRetries ?? 0, fetch });
  return { calls, ask: () => client.messages.create({ model: 'fast', max_tokens: 100, messages }) };
}

const raisedBy = (promise: PromiseLike<unknown>) =>
  Promise.resolve(promise).then(
    () => new Error('nothing was raised'),
    (raised) => raised,
  );

function headersOf(call: Call | undefined, prefix: string): Record<string, string> {
  return Object.fromEntries([...(call?.headers ?? [])].filter(([name]) => name.startsWith(prefix)));
}

async function limited(values: Readonly<Record<string, unknown>>) {
  return await addTenant(setting.gateway, { balance: '100', ...values });
}

async function newKey(tenantId: string, values: Readonly<Record<string, unknown>>) {
  const path = `/tenants/${tenantId}/api-keys`;
  const { id, secret } = await setting.gateway.admin('POST', path, { name: 'limited', ...values });
  return {
    apiKey: secret as string,
    change: (changes: object) => setting.gateway.admin('PATCH', `${path}/${id}`, changes),
  };
}

describe('a limit of requests a minute', () => {
  it("is told on every answer by OpenAI's names, and raises its typed error when it is used up", async () => {
    const { apiKey } = await limited({ rpm_limit: 2 });
    const { ask, calls } = openai(apiKey);
    await ask();
    await ask();
    const error = await raisedBy(ask());
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error).toMatchObject({ status: 429, code: 'RATE_LIMIT_RPM_EXCEEDED' });
    expect(error.message).toContain('this tenant');
    const told = calls.map((call) => headersOf(call, 'x-ratelimit-'));
    expect(told).toEqual(
      [1, 0, 0].map((remaining) => ({
        'x-ratelimit-limit-requests': '2',
        'x-ratelimit-remaining-requests': String(remaining),
        'x-ratelimit-reset-requests': expect.stringMatching(/^(1m0(\.\d+)?|[45]\d(\.\d+)?)s$/),
      })),
    );
    const retryAfter = Number(calls[2]?.headers.get('retry-after'));
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(61);
  });

  it("is told by Anthropic's names, and raises its typed error", async () => {
    const { apiKey } = await limited({ rpm_limit: 1, tpm_limit: 10_000 });
    const { ask, calls } = anthropic(apiKey);
    await ask();
    expect(await raisedBy(ask())).toBeInstanceOf(Anthropic.RateLimitError);
    for (const call of calls) {
      expect(headersOf(call, 'anthropic-ratelimit-')).toEqual({
        'anthropic-ratelimit-requests-limit': '1',
        'anthropic-ratelimit-requests-remaining': '0',
        'anthropic-ratelimit-requests-reset': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        'anthropic-ratelimit-tokens-limit': '10000',
        'anthropic-ratelimit-tokens-remaining': expect.stringMatching(/^9\d{3}$/),
        'anthropic-ratelimit-tokens-reset': expect.stringMatching(/Z$/),
      });
      expect(headersOf(call, 'x-ratelimit-')).toEqual({});
    }
  });

  it('of an API key changes everywhere when the admin says so, and leaves the others alone', async () => {
    const { id, apiKey } = await limited({});
    const key = await newKey(id, { rpm_limit: 1 });
    const { ask } = openai(key.apiKey);
    await ask();
    expect(await raisedBy(ask())).toMatchObject({ code: 'RATE_LIMIT_RPM_EXCEEDED' });
    await openai(apiKey).ask();
    expect(await key.change({ rpm_limit: 2 })).toMatchObject({ rpm_limit: 2, tpm_limit: null });
    await expect.poll(() => ask().then(({ object }) => object)).toBe('chat.completion');
    await key.change({ rpm_limit: null });
    await expect.poll(() => ask().then(({ object }) => object)).toBe('chat.completion');
  });
});

describe('a limit of tokens a minute', () => {
  it('counts what a request may use while it is open, and what it used when it has ended', async () => {
    const { apiKey } = await limited({ tpm_limit: 1_000 });
    const { ask, calls } = openai(apiKey);
    const { usage } = await ask('fast', { max_tokens: 900 });
    const used = usage?.total_tokens ?? 0;
    expect(used).toBeGreaterThan(30);
    await ask('fast', { max_tokens: 900 - used });
    expect(headersOf(calls[1], 'x-ratelimit-remaining-tokens')).toEqual({
      'x-ratelimit-remaining-tokens': expect.stringMatching(/^\d{1,3}$/),
    });
    const error = await raisedBy(ask('fast', { max_tokens: 980 }));
    expect(error).toMatchObject({ status: 429, code: 'RATE_LIMIT_TPM_EXCEEDED' });
  });

  it('is not tried again where the request is larger than the limit', async () => {
    const { apiKey } = await limited({ tpm_limit: 500 });
    const { ask, calls } = openai(apiKey, { maxRetries: 3 });
    const error = await raisedBy(ask('fast', { max_tokens: 600 }));
    expect(error).toMatchObject({ status: 429, code: 'RATE_LIMIT_TPM_EXCEEDED' });
    expect(error.message).toContain('never passes');
    expect(calls.map(({ headers }) => headers.get('x-should-retry'))).toEqual(['false']);
    expect(calls[0]?.headers.get('retry-after')).toBeNull();
  });

  it('cuts the maximum of a request that sets none to what the limit lets pass', async () => {
    const { id, apiKey } = await limited({ tpm_limit: 500 });
    await openai(apiKey).ask();
    expect((await settledTransactionsOf(setting.gateway, id)).at(-1)).toMatchObject({ status: 'COMMITTED' });
  });
});

describe('a limit of open requests', () => {
  it('lets the official clients come back after as long as they are told', async () => {
    const { apiKey } = await limited({ max_open_requests: 1 });
    const waiting = [openai(apiKey, { maxRetries: 5 }), anthropic(apiKey, { maxRetries: 5 })];
    for (const { ask, calls } of waiting) {
      const stream = await openai(apiKey).stream();
      const asked = ask();
      await expect.poll(() => calls.length).toBeGreaterThan(0);
      stream.controller.abort();
      await asked;
      expect(calls.map(({ status }) => status)).toEqual([...calls.slice(1).map(() => 429), 200]);
      expect(calls[0]?.headers.get('retry-after')).toBe('1');
      // No sooner; by how much later is the client's own choice.
      for (const [index, call] of calls.slice(1).entries())
        expect(call.atMs - calls[index]!.atMs).toBeGreaterThanOrEqual(990);
    }
  });
});

describe('a tenant that is only observed', () => {
  it('is served beyond its balance and its day, charged exactly, and owes then', async () => {
    const { id, apiKey } = await limited({ balance: '0', daily_quota: 1, block_on_insufficient: false });
    const { ask } = openai(apiKey);
    await ask();
    await ask();
    const charges = await settledTransactionsOf(setting.gateway, id);
    const { quota } = await setting.gateway.admin('GET', `/tenants/${id}`);
    expect(charges).toHaveLength(2);
    expect(quota).toMatchObject({ block_on_insufficient: false, daily_used: 2 });
    expect(quota.balance).toBe(charges.at(-1).balance_after);
    expect(Number(quota.balance)).toBeLessThan(0);
    await setting.gateway.admin('PATCH', `/tenants/${id}`, { block_on_insufficient: null });
    await expect
      .poll(async () => (await raisedBy(ask())) as { code?: string })
      .toMatchObject({ code: 'QUOTA_BALANCE_EXCEEDED' });
  });
});

describe('an API key that may be used from some networks', () => {
  it.each([
    ['203.0.113.0/24', '203.0.113.7', '203.0.114.7'],
    ['2001:db8::/32', '2001:db8:1::1', '2001:db9::1'],
    ['203.0.113.7', '::ffff:203.0.113.7', '203.0.113.8'],
  ])('%s takes %s and not %s, as the trusted proxy tells them', async (network, inside, outside) => {
    const { id } = await limited({});
    const { apiKey, change } = await newKey(id, { allowed_networks: [network] });
    const body = { model: 'fast', messages };
    const from = async (forwarded: string) => {
      const headers = { authorization: `Bearer ${apiKey}`, 'x-forwarded-for': forwarded };
      const { status, json } = await setting.gateway.call('/v1/chat/completions', body, headers);
      return `${status} ${json.error?.code ?? ''}`;
    };
    expect(await from(inside)).toBe('200 ');
    expect(await from(outside)).toBe('403 API_KEY_FORBIDDEN');
    // What stands further left is what the client itself says.
    expect(await from(`${inside}, ${outside}`)).toBe('403 API_KEY_FORBIDDEN');
    expect(await from(`${outside}, ${inside}, 127.0.0.5`)).toBe('200 ');
    await change({ allowed_networks: null });
    await expect.poll(() => from(outside)).toBe('200 ');
  });
});
