import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
  transactionsOf,
} from './support/gateway.ts';

// What is wrong gets its code in OpenAI's error shape, and leaves no row.

let gateway: TestGateway;
let simulator: Simulator;
let tenant: TestTenant;

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const body = (changes: object) => ({ model: 'good', messages, ...changes });

beforeAll(async () => {
  simulator = await startSimulator();
  gateway = await startGateway({ env: { MAX_BODY_BYTES: String(12 * 1024 * 1024) } });
  const upstreamModel = 'sim?ttfb_ms=0&tokens_per_second=0&tokens=5';
  await addModel(gateway, 'good', { baseUrl: simulator.url, upstreamModel });
  await addModel(gateway, 'unpriced', { baseUrl: simulator.url, upstreamModel }, {});
  tenant = await addTenant(gateway);
});

afterAll(async () => {
  await gateway.stop();
  await simulator.close();
});

async function refused(sent: unknown, headers: Record<string, string> = {}) {
  const before = await transactionsOf(gateway, tenant.id);
  const forwarded = simulator.requests.count;
  const answer = await gateway.call('/v1/chat/completions', sent, {
    authorization: `Bearer ${tenant.apiKey}`,
    ...headers,
  });
  expect(await transactionsOf(gateway, tenant.id)).toEqual(before);
  expect(simulator.requests.count).toBe(forwarded);
  expect(answer.json).toEqual({
    error: {
      message: expect.any(String),
      type: expect.any(String),
      param: answer.json.error.param,
      code: expect.any(String),
    },
  });
  return { status: answer.status, ...answer.json.error, headers: answer.headers };
}

describe('a request that can not be read', () => {
  it.each([
    ['malformed JSON', '{"model":"good","messages":[', null],
    ['no body', '', null],
    ['a body that is no object', '["good"]', null],
    ['a 10 MB single line that is no JSON', 'x'.repeat(10 * 1024 * 1024), null],
    [
      'a 10 MB single line of JSON without messages',
      JSON.stringify({ model: 'good', x: 'y'.repeat(10 * 1024 * 1024) }),
      'messages',
    ],
    ['a missing model', { messages }, 'model'],
    ['a model of the wrong type', body({ model: 7 }), 'model'],
    ['an empty model', body({ model: '' }), 'model'],
    ['missing messages', { model: 'good' }, 'messages'],
    ['messages of the wrong type', body({ messages: 'hello' }), 'messages'],
    ['empty messages', body({ messages: [] }), 'messages'],
    ['a stream of the wrong type', body({ stream: 'yes' }), 'stream'],
    ['stream_options of the wrong type', body({ stream: true, stream_options: 1 }), 'stream_options'],
    ['an n of the wrong type', body({ n: '2' }), 'n'],
    ['an n of zero', body({ n: 0 }), 'n'],
    ['a negative max_tokens', body({ max_tokens: -5 }), 'max_tokens'],
    ['a fractional max_tokens', body({ max_tokens: 1.5 }), 'max_tokens'],
    [
      'a max_completion_tokens of the wrong type',
      body({ max_completion_tokens: '10' }),
      'max_completion_tokens',
    ],
    [
      'a member twice that matters to the bill',
      '{"model":"good","max_tokens":1,"max_tokens":9,"messages":[{"role":"user","content":"x"}]}',
      'max_tokens',
    ],
  ])('(%s) is REQUEST_INVALID', async (_, sent, param) => {
    const error = await refused(sent);
    expect(error).toMatchObject({ status: 400, code: 'REQUEST_INVALID', type: 'invalid_request_error' });
    if (param !== null) expect(error.param).toContain(param);
    expect(error.headers.get('x-should-retry')).toBe('false');
  });

  it('(a body over the limit) is REQUEST_TOO_LARGE', async () => {
    const error = await refused(
      body({ messages: [{ role: 'user', content: 'x'.repeat(13 * 1024 * 1024) }] }),
    );
    expect(error).toMatchObject({ status: 413, code: 'REQUEST_TOO_LARGE' });
    const unknown = await refused(body({ messages: [{ role: 'user', content: 'x'.repeat(1024 * 1024) }] }), {
      authorization: 'Bearer tg_unknown',
    });
    expect(unknown).toMatchObject({ status: 401, code: 'API_KEY_INVALID' });
  });

  it('(a compressed body) is REQUEST_INVALID and says what to do', async () => {
    const error = await refused(body({}), { 'content-encoding': 'gzip' });
    expect(error).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
    expect(error.message).toContain('compression');
  });

  it('(a 10 MB prompt that the balance can not pay) is QUOTA_BALANCE_EXCEEDED', async () => {
    const poor = await addTenant(gateway, { balance: '0.50' });
    const answer = await gateway.call(
      '/v1/chat/completions',
      body({ messages: [{ role: 'user', content: 'sea '.repeat(2.5 * 1024 * 1024) }] }),
      { authorization: `Bearer ${poor.apiKey}` },
    );
    expect(answer.status).toBe(402);
    expect(await transactionsOf(gateway, poor.id)).toHaveLength(1);
  });
});

describe('a request that can not be served', () => {
  it('for a model that is not there is MODEL_NOT_FOUND', async () => {
    expect(await refused(body({ model: 'absent' }))).toMatchObject({
      status: 404,
      code: 'MODEL_NOT_FOUND',
      param: 'model',
    });
  });

  it('for a model without a price is MODEL_NOT_PRICED', async () => {
    expect(await refused(body({ model: 'unpriced' }))).toMatchObject({
      status: 404,
      code: 'MODEL_NOT_PRICED',
      param: 'model',
    });
  });

  it('without an API key, or with a wrong one, is API_KEY_INVALID', async () => {
    for (const authorization of ['', 'Bearer ', 'Bearer tg_wrong', 'Basic abc']) {
      expect(await refused(body({}), { authorization })).toMatchObject({
        status: 401,
        code: 'API_KEY_INVALID',
      });
    }
  });

  it('for a model that the API key may not use is API_KEY_FORBIDDEN', async () => {
    const { secret } = await gateway.admin('POST', `/tenants/${tenant.id}/api-keys`, {
      name: 'narrow',
      models: ['other'],
    });
    expect(await refused(body({}), { authorization: `Bearer ${secret}` })).toMatchObject({
      status: 403,
      code: 'API_KEY_FORBIDDEN',
    });
  });

  it('with a revoked API key is API_KEY_INVALID at once', async () => {
    const { id, secret } = await gateway.admin('POST', `/tenants/${tenant.id}/api-keys`, { name: 'revoked' });
    const headers = { authorization: `Bearer ${secret}` };
    expect((await gateway.call('/v1/chat/completions', body({}), headers)).status).toBe(200);
    await gateway.admin('DELETE', `/tenants/${tenant.id}/api-keys/${id}`);
    expect(await refused(body({}), headers)).toMatchObject({ status: 401, code: 'API_KEY_INVALID' });
  });

  it('with a malformed content type is REQUEST_INVALID', async () => {
    for (const contentType of ['json', ';;;']) {
      expect(await refused(body({}), { 'content-type': contentType })).toMatchObject({
        status: 400,
        code: 'REQUEST_INVALID',
      });
    }
  });

  it('for a model whose name no model has is refused, and told in few words', async () => {
    expect(await refused(body({ model: 'a\0b' }))).toMatchObject({ status: 404, code: 'MODEL_NOT_FOUND' });
    const long = await refused(body({ model: 'x'.repeat(100_000) }));
    expect(long).toMatchObject({ status: 400, code: 'REQUEST_INVALID', param: 'model' });
    expect(long.message.length).toBeLessThan(300);
  });

  it('at a path that can not be read is REQUEST_INVALID, and does not hang', async () => {
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    socket.write('POST /v1/chat/completions#%ff HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}');
    const [answer] = await once(socket, 'data');
    socket.destroy();
    expect(String(answer)).toMatch(/^HTTP\/1.1 40[01]/);
  });

  it('is refused in the shape of the dialect in whose paths it lies', async () => {
    const headers = { authorization: 'Bearer tg_wrong' };
    const large = { model: 'good', x: 'y'.repeat(100_000) };
    expect((await gateway.call('/v1/messages', large, headers)).json).toMatchObject({
      type: 'error',
      error: { type: 'authentication_error' },
    });
    expect((await gateway.call('/v1/messages/batches', {}, headers)).json.type).toBe('error');
    expect((await gateway.call('/v1beta/models/m:generateContent', large, headers)).json).toMatchObject({
      error: { code: 401, status: 'UNAUTHENTICATED' },
    });
    expect((await gateway.call('/v1/chat/completions', large, headers)).json.error.type).toBe(
      'authentication_error',
    );
  });

  it('at a path that is not there is NOT_FOUND', async () => {
    const answer = await gateway.call('/v1/nothing', {});
    expect(answer.status).toBe(404);
    expect(answer.json.error.code).toBe('NOT_FOUND');
  });
});

describe('unknown members', () => {
  it('are REQUEST_INVALID by name, before anything is held or sent', async () => {
    for (const name of ['shoe_size', 'models', 'Temperature']) {
      const error = await refused(body({ [name]: 1 }));
      expect(error).toMatchObject({ status: 400, code: 'REQUEST_INVALID', param: name });
      expect(error.message).toContain(`"${name}"`);
      expect(error.headers.get('x-should-retry')).toBe('false');
    }
  });

  it('go upstream byte for byte where the upstream is set to take them, and its answer is the answer', async () => {
    await addModel(gateway, 'open', { baseUrl: simulator.url, upstreamModel: 'sim?ttfb_ms=0&tokens=5' });
    await gateway.admin('POST', '/upstreams', {
      id: 'up-open',
      dialects: ['openai.chat'],
      base_url: simulator.url,
      quirks: { unknown_members: 'pass' },
    });
    const before = await transactionsOf(gateway, tenant.id);
    const sent = '{ "model":"open",  "messages":[{"role":"user","content":"x"}], "shoe_size": 1e2 }';
    const answer = await gateway.call('/v1/chat/completions', sent, {
      authorization: `Bearer ${tenant.apiKey}`,
    });
    expect(answer.status).toBe(400);
    expect(answer.json.error.message).toContain('shoe_size');
    expect(simulator.requests.last?.body).toBe(sent.replace('"open"', '"sim?ttfb_ms=0&tokens=5"'));
    const after = await settledTransactionsOf(gateway, tenant.id);
    expect(after.slice(before.length)).toMatchObject([{ status: 'VOIDED', amount: null }]);
  });
});

describe('what upstream is sent', () => {
  it("is free of the client's credentials and of hop-by-hop headers, and keeps the others", async () => {
    await gateway.call('/v1/chat/completions', body({}), {
      authorization: `Bearer ${tenant.apiKey}`,
      'x-api-key': tenant.apiKey,
      cookie: 'session=1',
      'x-forwarded-for': '10.0.0.1',
      'openai-organization': 'org-client',
      'x-custom': 'kept',
    });
    const { headers } = simulator.requests.last!;
    expect(JSON.stringify(headers)).not.toContain(tenant.apiKey);
    expect(headers).not.toHaveProperty('cookie');
    expect(headers).not.toHaveProperty('x-forwarded-for');
    expect(headers).not.toHaveProperty('openai-organization');
    expect(headers['x-custom']).toBe('kept');
  });
});

describe('an Idempotency-Key', () => {
  const keyed = (key: string) => ({ authorization: `Bearer ${tenant.apiKey}`, 'idempotency-key': key });

  it('charges once: the same again is a 409 that names the transaction and is not to be retried', async () => {
    const first = await gateway.call('/v1/chat/completions', body({}), keyed('once'));
    const asked = simulator.requests.count;
    const second = await gateway.call('/v1/chat/completions', body({}), keyed('once'));
    expect(first.headers.get('x-request-id')).toBe('once');
    expect(second.status).toBe(409);
    expect(second.json.error).toMatchObject({ code: 'REQUEST_ALREADY_BILLED' });
    expect(second.json.error.message).toContain(first.headers.get('x-billing-transaction-id'));
    expect(second.headers.get('x-should-retry')).toBe('false');
    expect(simulator.requests.count).toBe(asked);
  });

  it('with another body is a 422 and runs nothing', async () => {
    await gateway.call('/v1/chat/completions', body({}), keyed('taken'));
    const asked = simulator.requests.count;
    const other = await gateway.call('/v1/chat/completions', body({ temperature: 1 }), keyed('taken'));
    expect(other.status).toBe(422);
    expect(other.json.error).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
    expect(simulator.requests.count).toBe(asked);
  });

  it('is a 409 while the first is open, and its hold stays', async () => {
    await addModel(gateway, 'slow', {
      baseUrl: simulator.url,
      upstreamModel: 'sim?ttfb_ms=1500&tokens_per_second=0&tokens=5',
    });
    const slow = body({ model: 'slow' });
    const first = gateway.call('/v1/chat/completions', slow, keyed('open'));
    let second = await gateway.call('/v1/chat/completions', slow, keyed('open'));
    for (let attempt = 0; attempt < 5 && second.status === 200; attempt++) {
      second = await gateway.call('/v1/chat/completions', slow, keyed('open'));
    }
    expect(second.status).toBe(409);
    expect(second.json.error.code).toBe('REQUEST_IN_PROGRESS');
    const { quota } = await gateway.admin('GET', `/tenants/${tenant.id}`);
    expect(quota.held).not.toBe('0');
    expect((await first).status).toBe(200);
    expect((await gateway.admin('GET', `/tenants/${tenant.id}`)).quota.held).toBe('0');
  });

  it('charges once when many send it at the same time', async () => {
    const before = (await transactionsOf(gateway, tenant.id)).length;
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => gateway.call('/v1/chat/completions', body({}), keyed('raced'))),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
    expect(await settledTransactionsOf(gateway, tenant.id)).toHaveLength(before + 1);
    expect((await gateway.admin('GET', `/tenants/${tenant.id}`)).quota.held).toBe('0');
  });

  it('that is malformed is REQUEST_INVALID', async () => {
    const error = await refused(body({}), { 'idempotency-key': 'has a space' });
    expect(error).toMatchObject({ status: 400, code: 'REQUEST_INVALID', param: 'Idempotency-Key' });
  });
});
