import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPglite } from '../src/ledger/drivers/pglite.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import type { AnyJson } from './support/admin-plane.ts';
import {
  type Answer,
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
} from './support/gateway.ts';
import { newDataDir, type TestDataDir } from './support/template.ts';

// Every way in which an exchange can end: what the client is told, and what it pays (DESIGN.md section 6).

let dataDir: TestDataDir;
let gateway: TestGateway;
let simulator: Simulator;

beforeAll(async () => {
  dataDir = await newDataDir();
  simulator = await startSimulator();
  gateway = await startGateway({ dataDir: dataDir.path });
});

afterAll(async () => {
  await gateway.stop();
  await simulator.close();
  await dataDir.remove();
});

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
let models = 0;

interface Ended {
  readonly answer: Answer;
  /** The one transaction that the request left. */
  readonly charge: AnyJson;
  /** What the simulator says of the last request that it got. */
  readonly sent: AnyJson;
}

/** One request of a new tenant to a new model, which is the simulator with these directives. */
async function ask(
  directives: string,
  stream: boolean,
  upstream: Record<string, unknown> = {},
): Promise<Ended> {
  models += 1;
  const model = `model-${models}`;
  await addModel(gateway, model, {
    baseUrl: simulator.url,
    upstreamModel: `sim?ttfb_ms=0&tokens_per_second=0&tokens=40&${directives}`,
  });
  if (Object.keys(upstream).length > 0) {
    await gateway.admin('POST', '/upstreams', {
      id: `up-${model}`,
      dialects: ['openai.chat'],
      base_url: simulator.url,
      ...upstream,
    });
  }
  const tenant = await addTenant(gateway);
  const answer = await gateway.call(
    '/v1/chat/completions',
    { model, messages, stream },
    { authorization: `Bearer ${tenant.apiKey}` },
  );
  const all = await settledTransactionsOf(gateway, tenant.id);
  expect(all).toHaveLength(2);
  await simulator.requests.settled();
  return { answer, charge: all[1], sent: simulator.requests.last };
}

const void_ = { status: 'VOIDED', amount: null, seq: null };

describe('an answer that completes', () => {
  it.each([
    ['in one piece', '', false],
    ['as a stream', '', true],
    ['as a stream without [DONE]', 'fault=no_done', true],
    ['as a stream with CRLF, cut anywhere', 'fault=crlf,split_bytes', true],
    ['as a stream of 64 KB events', 'fault=big_events', true],
    ['as a stream with usage in every chunk', 'fault=usage_every_chunk', true],
    ['as a stream with junk between its events', 'fault=junk_bytes', true],
  ])("%s is charged by upstream's usage", async (_, directives, stream) => {
    const { answer, charge, sent } = await ask(directives, stream);
    expect(answer.status).toBe(200);
    expect(charge).toMatchObject({
      status: 'COMMITTED',
      usage_method: 'usage',
      input_tokens: sent.usage.promptTokens,
      output_tokens: sent.usage.completionTokens,
    });
    expect(charge.output_tokens).toBe(40);
  });

  it.each([
    ['no usage, in one piece', 'fault=no_usage', false],
    ['no usage in its stream', 'fault=no_usage', true],
    ['null for usage, in one piece', 'fault=null_usage', false],
    ['null for usage in its stream', 'fault=null_usage', true],
    ['zeros for usage, in one piece', 'fault=zero_usage', false],
    ['zeros for usage in its stream', 'fault=zero_usage', true],
  ])('with %s is charged by our own count, which is the same number', async (_, directives, stream) => {
    const { charge, sent } = await ask(directives, stream);
    expect(charge).toMatchObject({
      status: 'COMMITTED',
      usage_method: 'tiktoken',
      input_tokens: sent.usage.promptTokens,
      output_tokens: sent.usage.completionTokens,
    });
  });

  it('counts reasoning as output and keeps it apart', async () => {
    const { charge } = await ask('reasoning=25', true);
    expect(charge).toMatchObject({ output_tokens: 65, usage: { output: 40, reasoning: 25 } });
  });

  it('counts what was read from cache once', async () => {
    const { charge, sent } = await ask('cached_tokens=6', false);
    const { promptTokens } = sent.usage;
    expect(charge).toMatchObject({
      input_tokens: promptTokens,
      usage: { input: promptTokens - 6, cache_read: 6 },
    });
  });
});

describe('an upstream that refuses', () => {
  it.each([
    ['refuse_400', 400],
    ['refuse_401', 401],
    ['refuse_429', 429],
    ['refuse_500', 500],
    ['refuse_503', 503],
  ])('with %s charges nothing, and its answer is the client’s', async (fault, status) => {
    for (const stream of [false, true]) {
      const { answer, charge } = await ask(`fault=${fault}&retry_after_seconds=7`, stream);
      expect(answer.status).toBe(status);
      expect(answer.json.error.message).toEqual(expect.any(String));
      expect(answer.headers.get('retry-after')).toBe([429, 503].includes(status) ? '7' : null);
      expect(charge).toMatchObject(void_);
    }
  });

  it.each([
    ['no_connection', false, 502, 'UPSTREAM_UNAVAILABLE'],
    ['no_connection', true, 502, 'UPSTREAM_UNAVAILABLE'],
    ['cut', false, 502, 'UPSTREAM_UNAVAILABLE'],
    ['cut&after=0', true, 502, 'UPSTREAM_UNAVAILABLE'],
  ])('by %s (stream: %s) is a %i and charges nothing', async (fault, stream, status, code) => {
    const { answer, charge } = await ask(`fault=${fault}`, stream);
    expect(answer.status).toBe(status);
    expect(answer.json.error).toMatchObject({ code, type: 'upstream_error' });
    expect(charge).toMatchObject(void_);
  });

  it.each([
    ['stall_headers', false],
    ['stall_headers', true],
    ['stall', false],
    ['stall&after=0', true],
  ])('by %s (stream: %s) is a timeout and charges nothing', async (fault, stream) => {
    const { answer, charge } = await ask(`fault=${fault}`, stream, {
      headers_timeout_ms: 300,
      idle_timeout_ms: 300,
    });
    expect(answer.status).toBe(504);
    expect(answer.json.error).toMatchObject({ code: 'UPSTREAM_TIMEOUT' });
    expect(charge).toMatchObject(void_);
  });

  it('inside a 200 charges nothing and passes its error on', async () => {
    for (const stream of [false, true]) {
      const { answer, charge } = await ask('fault=error_in_200', stream);
      expect(answer.status).toBe(200);
      expect(answer.json.error.message).toEqual(expect.any(String));
      expect(charge).toMatchObject(void_);
    }
  });
});

describe('a stream that breaks after it began', () => {
  const lastEvent = (text: string) =>
    JSON.parse(
      text
        .trim()
        .split('\n\n')
        .at(-1)!
        .replace(/^data: /, ''),
    );

  it.each([1, 2, 7, 30])('cut after %i events charges the input and what was delivered', async (after) => {
    const { answer, charge, sent } = await ask(`fault=cut&after=${after}`, true);
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain('[DONE]');
    expect(lastEvent(answer.text).error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    expect(charge).toMatchObject({
      status: 'COMMITTED',
      usage_method: 'tiktoken',
      input_tokens: sent.usage.promptTokens,
      output_tokens: sent.tokensSent,
    });
  });

  it.each([1, 7])('with an error event after %i charges the input and what was delivered', async (after) => {
    const { answer, charge, sent } = await ask(`fault=error_event&after=${after}`, true);
    expect(answer.text).not.toContain('[DONE]');
    expect(lastEvent(answer.text).error).toBeDefined();
    expect(charge).toMatchObject({ status: 'COMMITTED', output_tokens: sent.tokensSent });
  });

  it('with an error as its first event charges nothing', async () => {
    const { answer, charge } = await ask('fault=error_event&after=0', true);
    expect(answer.status).toBe(200);
    expect(lastEvent(answer.text).error).toBeDefined();
    expect(charge).toMatchObject(void_);
  });

  it('by stalling charges the input and what was delivered, and ends with a timeout', async () => {
    const { answer, charge, sent } = await ask('fault=stall&after=9', true, { idle_timeout_ms: 300 });
    expect(lastEvent(answer.text).error).toMatchObject({ code: 'UPSTREAM_TIMEOUT' });
    expect(charge).toMatchObject({ status: 'COMMITTED', output_tokens: sent.tokensSent });
  });

  it('charges what its last usage says where that is more than was delivered', async () => {
    const { charge, sent } = await ask('fault=usage_every_chunk,cut&after=9', true);
    expect(charge).toMatchObject({
      status: 'COMMITTED',
      usage_method: 'usage',
      output_tokens: sent.tokensSent,
    });
  });
});

describe('routes', () => {
  const routed = async (first: string, second: string, stream = false) => {
    models += 1;
    const model = `routed-${models}`;
    const routes = [];
    for (const [priority, directives] of [first, second].entries()) {
      const id = `${model}-${priority}`;
      await gateway.admin('POST', '/upstreams', { id, dialects: ['openai.chat'], base_url: simulator.url });
      routes.push({
        upstream: id,
        upstream_model: `sim?ttfb_ms=0&tokens_per_second=0&tokens=9&${directives}`,
        priority,
      });
    }
    await gateway.admin('PUT', `/models/${model}`, {
      routes,
      rates: { input_per_1m: '1', output_per_1m: '1' },
    });
    const tenant = await addTenant(gateway);
    const headers = { authorization: `Bearer ${tenant.apiKey}` };
    const answer = await gateway.call('/v1/chat/completions', { model, messages, stream }, headers);
    const [, ...charges] = await settledTransactionsOf(gateway, tenant.id);
    return { answer, charges };
  };

  it.each(['refuse_500', 'refuse_429', 'refuse_401', 'no_connection'])(
    'goes on to the next upstream after %s, and charges once',
    async (fault) => {
      const { answer, charges } = await routed(`fault=${fault}`, '');
      expect(answer.status).toBe(200);
      expect(charges).toHaveLength(1);
      expect(charges[0]).toMatchObject({ status: 'COMMITTED', output_tokens: 9 });
    },
  );

  it("does not try elsewhere what is the request's own fault", async () => {
    const { answer, charges } = await routed('fault=refuse_400', '');
    expect(answer.status).toBe(400);
    expect(charges).toMatchObject([{ status: 'VOIDED' }]);
  });

  it('does not start again once a stream has begun', async () => {
    const { answer, charges } = await routed('fault=cut&after=3', '', true);
    expect(answer.text).not.toContain('[DONE]');
    expect(charges).toMatchObject([{ status: 'COMMITTED' }]);
  });
});

describe('a client that hangs up', () => {
  async function hangUp(
    directives: string,
    stream: boolean,
    after: (body: ReadableStreamDefaultReader<Uint8Array>) => Promise<void>,
  ) {
    models += 1;
    const model = `gone-${models}`;
    await addModel(gateway, model, { baseUrl: simulator.url, upstreamModel: `sim?${directives}` });
    const tenant = await addTenant(gateway);
    const controller = new AbortController();
    const asked = fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tenant.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages, stream }),
      signal: controller.signal,
    });
    if (stream) {
      const reader = (await asked).body!.getReader();
      await after(reader);
    } else {
      // The request is on its way to upstream once the simulator has it.
      for (let attempt = 0; attempt < 200 && simulator.requests.open === 0; attempt++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    controller.abort();
    await asked.catch(() => undefined);
    await simulator.requests.settled();
    const [, charge] = await settledTransactionsOf(gateway, tenant.id);
    return { charge, sent: simulator.requests.last! };
  }

  it('mid-stream pays the input and what was generated until then', async () => {
    const { charge, sent } = await hangUp(
      'ttfb_ms=0&tokens_per_second=100&tokens=2000',
      true,
      async (reader) => {
        for (let read = 0; read < 5; read++) await reader.read();
      },
    );
    expect(sent.outcome).toBe('aborted');
    expect(charge).toMatchObject({ status: 'COMMITTED', usage_method: 'tiktoken' });
    expect(charge.input_tokens).toBe(sent.usage!.promptTokens);
    expect(charge.output_tokens).toBeGreaterThan(0);
    expect(charge.output_tokens).toBeLessThanOrEqual(sent.tokensSent);
  });

  it('before an answer that is no stream pays the input', async () => {
    const { charge, sent } = await hangUp('ttfb_ms=60000', false, async () => undefined);
    expect(sent.outcome).toBe('aborted');
    expect(charge).toMatchObject({
      status: 'COMMITTED',
      input_tokens: sent.usage?.promptTokens ?? charge.input_tokens,
      output_tokens: 0,
    });
    expect(charge.input_tokens).toBeGreaterThan(0);
  });

  it('is not noticed by an upstream whose route drains: the whole answer is paid', async () => {
    models += 1;
    const model = `drained-${models}`;
    await gateway.admin('POST', '/upstreams', {
      id: model,
      dialects: ['openai.chat'],
      base_url: simulator.url,
    });
    await gateway.admin('PUT', `/models/${model}`, {
      routes: [
        {
          upstream: model,
          upstream_model: 'sim?ttfb_ms=0&tokens_per_second=300&tokens=150',
          when_client_gone: 'drain',
        },
      ],
      rates: { input_per_1m: '1', output_per_1m: '1' },
    });
    const tenant = await addTenant(gateway);
    const controller = new AbortController();
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tenant.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages, stream: true }),
      signal: controller.signal,
    });
    await response.body!.getReader().read();
    controller.abort();
    const [, charge] = await settledTransactionsOf(gateway, tenant.id);
    expect(charge).toMatchObject({ status: 'COMMITTED', usage_method: 'usage', output_tokens: 150 });
  });
});

describe('the usage records', () => {
  it('name one outcome each, and say of streams whether they completed', async () => {
    await gateway.stop();
    const driver = await openPglite(dataDir.path);
    const rows = await driver.query<{ outcome: string; stream_completed: boolean | null; stream: boolean }>(
      `SELECT DISTINCT u.outcome, u.stream, u.stream_completed FROM usage_record u
       JOIN billing_transaction b ON b.tenant_id = u.tenant_id AND b.id = u.transaction_id`,
      [],
    );
    const missing = await driver.query(
      `SELECT id FROM billing_transaction b WHERE type = 'CHARGE' AND NOT EXISTS (
         SELECT FROM usage_record u WHERE u.tenant_id = b.tenant_id AND u.transaction_id = b.id)`,
      [],
    );
    await driver.close();
    expect(missing).toEqual([]);
    expect(new Set(rows.map(({ outcome }) => outcome))).toEqual(
      new Set(['completed', 'client_gone', 'upstream_refused', 'upstream_cut', 'upstream_error', 'timeout']),
    );
    for (const { outcome, stream, stream_completed } of rows) {
      expect(stream_completed).toBe(stream ? outcome === 'completed' : null);
    }
  });
});
