import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import type { AnyJson } from './support/admin-plane.ts';
import {
  type Answer,
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import { until } from './support/pipeline.ts';
import { freePort } from './support/services/free-port.ts';
import { type CollectedSpan, startTraceCollector, type TraceCollector } from './support/trace-collector.ts';

// A real gateway with a real OTLP receiver: what of a request is shown, and that tracing which is off is nothing.

const prompt = 'Tell me of the planted-prompt-61c2.';
const fast = 'ttfb_ms=0&tokens_per_second=0&tokens=30';

let simulator: Simulator;
let collector: TraceCollector;
let gateway: TestGateway;
let tenant: TestTenant;

/** Tells each module of OpenTelemetry that is loaded, whoever loads it; the bare API is prom-client's too. */
const hook = `
import { registerHooks } from 'node:module';
registerHooks({ load(url, context, next) {
  if (url.includes('/@opentelemetry/') && !url.includes('/@opentelemetry/api/')) process.stderr.write('loaded OpenTelemetry\\n');
  return next(url, context);
} });`;
const telling = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` };

function tracingEnv(endpoint: string): Record<string, string> {
  return { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '20' };
}

async function addModels(to: TestGateway): Promise<void> {
  await addModel(to, 'plain', { baseUrl: simulator.url, upstreamModel: `sim?${fast}` });
  await addModel(to, 'thinking', {
    baseUrl: simulator.url,
    upstreamModel: `sim?${fast}&reasoning=20&cached_tokens=4`,
    provider: 'mistral',
  });
  for (const fault of ['refuse_400', 'cut', 'refuse_503']) {
    const upstreamModel = `sim?${fast}&fault=${fault}`;
    await addModel(to, fault, { baseUrl: simulator.url, upstreamModel });
  }
}

beforeAll(async () => {
  simulator = await startSimulator();
  collector = await startTraceCollector();
  const env = {
    ...tracingEnv(collector.endpoint),
    ...telling,
    OTEL_SERVICE_NAME: 'the-gateway',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=planted-collector-key-8f1e',
  };
  gateway = await startGateway({ env });
  await addModels(gateway);
  tenant = await addTenant(gateway);
});

afterAll(async () => {
  await gateway.stop();
  await collector.close();
  await simulator.close();
});

interface Traced {
  readonly answer: Answer;
  readonly charge: AnyJson;
  readonly traceId: string;
  readonly server: CollectedSpan;
  readonly calls: readonly CollectedSpan[];
  steps(): readonly string[];
}

interface Asking {
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly apiKey?: string;
}

/** One request that continues a trace of the client's, with all that the collector got of it. */
async function ask(model: string, changes: object = {}, asking: Asking = {}): Promise<Traced> {
  const traceId = randomBytes(16).toString('hex');
  const answer = await gateway.call(
    `/v1/chat/completions${asking.query ?? ''}`,
    { model, messages: [{ role: 'user', content: prompt }], ...changes },
    {
      authorization: `Bearer ${asking.apiKey ?? tenant.apiKey}`,
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
      ...asking.headers,
    },
  );
  const ofTrace = () => collector.spans.filter((span) => span.traceId === traceId);
  await collector.until(() => ofTrace().some(({ kind }) => kind === 'server'));
  const [server] = ofTrace().filter(({ kind }) => kind === 'server') as [CollectedSpan];
  return {
    answer,
    charge: (await settledTransactionsOf(gateway, tenant.id)).at(-1),
    traceId,
    server,
    calls: ofTrace().filter(({ kind }) => kind === 'client'),
    steps: () =>
      ofTrace()
        .filter(({ kind }) => kind === 'internal')
        .map(({ name }) => name),
  };
}

function expectTokens(span: CollectedSpan, charge: AnyJson): void {
  expect(charge.input_tokens).toBeGreaterThan(0);
  expect(span.attributes['gen_ai.usage.input_tokens']).toBe(charge.input_tokens);
  expect(span.attributes['gen_ai.usage.output_tokens']).toBe(charge.output_tokens);
  expect(span.attributes['tollgate.usage.method']).toBe(charge.usage_method);
}

describe('a request', () => {
  it.each([
    ['a whole answer', false],
    ['a stream', true],
  ])('that is %s is a span with its steps and its call of upstream', async (_, stream) => {
    const { answer, charge, server, calls, steps } = await ask('plain', { stream, max_tokens: 500 });
    expect(answer.status).toBe(200);
    expect(server.name).toBe('POST /v1/chat/completions');
    expect(server.failed).toBe(false);
    expect(server.attributes).toEqual({
      'http.request.method': 'POST',
      'http.route': '/v1/chat/completions',
      'url.path': '/v1/chat/completions',
      'url.scheme': 'http',
      'http.response.status_code': 200,
      'tollgate.trace.id': answer.headers.get('x-request-id'),
      'tollgate.tenant.id': tenant.id,
      'tollgate.api_key.id': charge.api_key_id,
      'tollgate.transaction.id': charge.id,
      'tollgate.model': 'plain',
      'tollgate.provider': charge.provider,
      'tollgate.stream': stream,
      'tollgate.outcome': 'completed',
      'tollgate.charge': charge.amount,
      'tollgate.usage.method': 'usage',
    });
    expect(steps().toSorted()).toEqual(['admission', 'commit', 'pending']);

    expect(calls).toHaveLength(1);
    const [call] = calls as [CollectedSpan];
    const { port } = new URL(simulator.url);
    expect(call.name).toBe(`chat sim?${fast}`);
    expect(call.failed).toBe(false);
    expect(call.parentSpanId).toBe(server.spanId);
    const { 'gen_ai.response.time_to_first_chunk': firstChunk, ...attributes } = call.attributes;
    expect(firstChunk === undefined).toBe(!stream);
    expect(attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': charge.provider,
      'gen_ai.request.model': `sim?${fast}`,
      ...(stream ? { 'gen_ai.request.stream': true } : {}),
      'gen_ai.request.max_tokens': 500,
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.response.id': expect.stringMatching(/^chatcmpl-/),
      'gen_ai.response.model': expect.stringMatching(/^sim/),
      'gen_ai.usage.input_tokens': charge.input_tokens,
      'gen_ai.usage.output_tokens': charge.output_tokens,
      'gen_ai.usage.audio.input_tokens': 0,
      'gen_ai.usage.audio.output_tokens': 0,
      'gen_ai.usage.cache_read.input_tokens': 0,
      'gen_ai.usage.reasoning.output_tokens': 0,
      'http.response.status_code': 200,
      'server.address': '127.0.0.1',
      'server.port': Number(port),
      'tollgate.outcome': 'completed',
      'tollgate.upstream.id': 'up-plain',
      'tollgate.usage.method': 'usage',
    });
    expectTokens(call, charge);
    expect(call.startNs).toBeGreaterThanOrEqual(server.startNs);
    expect(call.endNs).toBeLessThanOrEqual(server.endNs);
  });

  it("has the provider's name as the conventions have it, and counts that contain each other", async () => {
    const { charge, calls } = await ask('thinking');
    const [call] = calls as [CollectedSpan];
    expectTokens(call, charge);
    expect(call.attributes).toMatchObject({
      'gen_ai.provider.name': 'mistral_ai',
      'gen_ai.usage.reasoning.output_tokens': 20,
      'gen_ai.usage.cache_read.input_tokens': 4,
    });
    expect(charge.usage).toMatchObject({ reasoning: 20, cache_read: 4 });
  });

  it('that is refused before it costs anything is one span, and no failure of the server', async () => {
    const { answer, server, calls } = await ask('plain', {}, { apiKey: 'tg_unknown' });
    expect(answer.status).toBe(401);
    expect(calls).toEqual([]);
    expect(server.failed).toBe(false);
    expect(server.attributes).toMatchObject({
      'http.response.status_code': 401,
      'tollgate.code': 'API_KEY_INVALID',
    });
  });

  it('that the tenant can not pay has its admission', async () => {
    const poor = await addTenant(gateway, { balance: '0' });
    const { answer, server, steps } = await ask('plain', {}, { apiKey: poor.apiKey });
    expect(answer.status).toBe(402);
    expect(server.attributes['tollgate.code']).toBe('QUOTA_BALANCE_EXCEEDED');
    expect(steps()).toEqual(['admission']);
  });

  it("that upstream refuses fails in its call, by upstream's status, and is the client's to mend", async () => {
    const { answer, server, calls, steps } = await ask('refuse_400');
    expect(answer.status).toBe(400);
    expect([server.failed, calls[0]?.failed]).toEqual([false, true]);
    expect(calls[0]?.attributes).toMatchObject({ 'error.type': '400', 'http.response.status_code': 400 });
    expect(server.attributes['tollgate.outcome']).toBe('upstream_refused');
    expect(steps()).toContain('void');
  });

  it('whose stream breaks off fails though its status was 200, and has the tokens that were charged', async () => {
    const { charge, server, calls } = await ask('cut', { stream: true });
    expect([server.failed, calls[0]?.failed]).toEqual([true, true]);
    for (const span of [server, calls[0] as CollectedSpan]) {
      expect(span.attributes).toMatchObject({
        'http.response.status_code': 200,
        'error.type': 'upstream_cut',
        'tollgate.outcome': 'upstream_cut',
        'tollgate.usage.method': 'tiktoken',
      });
    }
    expect(calls[0]?.attributes['gen_ai.response.finish_reasons']).toEqual(['error']);
    expectTokens(calls[0] as CollectedSpan, charge);
  });

  it('that fails over has a call for each upstream, and the trace goes on from the one that it was', async () => {
    const away = `http://127.0.0.1:${await freePort()}/v1`;
    const dialects = ['openai.chat'];
    await gateway.admin('POST', '/upstreams', { id: 'away', dialects, base_url: away });
    await gateway.admin('PUT', '/models/failing-over', {
      routes: [
        { upstream: 'away', upstream_model: 'sim', priority: 1 },
        { upstream: 'up-refuse-503', upstream_model: `sim?${fast}&fault=refuse_503`, priority: 2 },
        { upstream: 'up-plain', upstream_model: `sim?${fast}`, priority: 3 },
      ],
      rates: { input_per_1k: '0.001', output_per_1k: '0.002' },
    });
    const { answer, charge, server, calls } = await ask('failing-over');
    expect(answer.status).toBe(200);
    expect(server.failed).toBe(false);
    const inOrder = calls.toSorted((a, b) => (a.startNs < b.startNs ? -1 : 1));
    expect(inOrder.map(({ attributes }) => attributes['error.type'])).toEqual([
      'connection',
      '503',
      undefined,
    ]);
    expect(inOrder.every(({ parentSpanId }) => parentSpanId === server.spanId)).toBe(true);
    expectTokens(inOrder[2] as CollectedSpan, charge);
    const { headers } = simulator.requests.last as AnyJson;
    expect(headers.traceparent).toBe(`00-${server.traceId}-${inOrder[2]?.spanId}-01`);
  });

  it('whose client leaves is no failure', async () => {
    const upstreamModel = 'sim?ttfb_ms=0&tokens_per_second=50&tokens=4000';
    await addModel(gateway, 'endless', { baseUrl: simulator.url, upstreamModel });
    const traceId = randomBytes(16).toString('hex');
    const hangUp = new AbortController();
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${tenant.apiKey}`,
        traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
      },
      body: JSON.stringify({ model: 'endless', stream: true, messages: [{ role: 'user', content: prompt }] }),
      signal: hangUp.signal,
    });
    await response.body?.getReader().read();
    hangUp.abort();
    const ended = () => collector.spans.filter((span) => span.traceId === traceId);
    await collector.until(() => ended().some(({ kind }) => kind === 'server'));
    const outer = ended().filter(({ kind }) => kind !== 'internal');
    expect(outer.map(({ failed }) => failed)).toEqual([false, false]);
    for (const { attributes } of outer) expect(attributes['tollgate.outcome']).toBe('client_gone');
  });
});

describe('the context of a trace', () => {
  it("continues the client's, state included, and upstream's continues our call", async () => {
    const { traceId, server, calls } = await ask('plain', {}, { headers: { tracestate: 'vendor=abc' } });
    expect(server.parentSpanId).toBe('00f067aa0ba902b7');
    expect(server.traceState).toBe('vendor=abc');
    const { headers } = simulator.requests.last as AnyJson;
    expect(headers.traceparent).toBe(`00-${traceId}-${calls[0]?.spanId}-01`);
    expect(headers.tracestate).toBe('vendor=abc');
  });

  it('begins with the request where the client sends none, or none that can be read', async () => {
    const headers = { authorization: `Bearer ${tenant.apiKey}`, traceparent: 'nonsense', tracestate: 'a=b' };
    const body = { model: 'plain', messages: [{ role: 'user', content: prompt }] };
    const answer = await gateway.call('/v1/chat/completions', body, headers);
    const id = answer.headers.get('x-request-id');
    await collector.until((spans) => spans.some(({ attributes }) => attributes['tollgate.trace.id'] === id));
    const server = collector.spans.find(({ attributes }) => attributes['tollgate.trace.id'] === id);
    expect(server?.parentSpanId).toBeNull();
    const sent = (simulator.requests.last as AnyJson).headers;
    expect(sent.traceparent).toMatch(new RegExp(`^00-${server?.traceId}-[0-9a-f]{16}-01$`));
    expect(sent.tracestate).toBeUndefined();
  });

  it('that the client does not want to be recorded is passed on, and not shown', async () => {
    const before = collector.spans.length;
    const traceId = randomBytes(16).toString('hex');
    const headers = {
      authorization: `Bearer ${tenant.apiKey}`,
      traceparent: `00-${traceId}-00f067aa0ba902b7-00`,
    };
    const body = { model: 'plain', messages: [{ role: 'user', content: prompt }] };
    await gateway.call('/v1/chat/completions', body, headers);
    const sent = (simulator.requests.last as AnyJson).headers;
    expect(sent.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
    // What comes after it is there, and nothing of it.
    await ask('plain');
    expect(collector.spans.length).toBeGreaterThan(before);
    expect(collector.spans.filter((span) => span.traceId === traceId)).toEqual([]);
  });
});

it('tells who it is, and shows itself to the collector, as the standard variables say', async () => {
  const { server } = await ask('plain');
  expect(server.resource).toMatchObject({
    'service.name': 'the-gateway',
    'deployment.environment.name': 'test',
    'service.instance.id': expect.any(String),
  });
  expect(collector.headers.at(-1)?.['x-collector-key']).toBe('planted-collector-key-8f1e');
});

it('shows neither a prompt nor an answer nor a secret nor a query', async () => {
  const { answer } = await ask('plain', {}, { query: '?key=planted-query-17' });
  const said = answer.json.choices[0].message.content;
  expect(said.length).toBeGreaterThan(20);
  const all = collector.bodies.join('\n');
  for (const planted of ['planted-', tenant.apiKey, gateway.adminToken, said.slice(0, 20)]) {
    expect(all).not.toContain(planted);
  }
  expect(collector.spans.flatMap(({ events }) => events)).toEqual([]);
  expect(collector.spans.filter(({ message }) => message !== null)).toEqual([]);
});

/** Requests enough, each with a handful of spans, and each answered. */
async function serveTwenty(by: TestGateway): Promise<void> {
  const { apiKey } = await addTenant(by);
  const body = { model: 'plain', messages: [{ role: 'user', content: prompt }] };
  for (let request = 0; request < 20; request++) {
    const answer = await by.call('/v1/chat/completions', body, { authorization: `Bearer ${apiKey}` });
    expect(answer.status).toBe(200);
  }
}

describe('a collector', () => {
  const smallQueue = { OTEL_BSP_MAX_QUEUE_SIZE: '10', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '5' };

  it('that is away changes no answer, and is told once', async () => {
    const env = tracingEnv(`http://127.0.0.1:${await freePort()}`);
    const alone = await startGateway({ env: { ...env, OTEL_EXPORTER_OTLP_TIMEOUT: '50' } });
    await addModels(alone);
    await serveTwenty(alone);
    await until(() => alone.output().includes('exporting traces'));
    await serveTwenty(alone);
    await alone.stop();
    expect(alone.process.exitCode).toBe(0);
    expect(alone.output().split('"exporting traces"')).toHaveLength(2);
  });

  it('that takes long makes nobody wait, and loses what its queue does not hold', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = await startTraceCollector(promise);
    const spanned = await startGateway({ env: { ...tracingEnv(slow.endpoint), ...smallQueue } });
    await addModels(spanned);
    await serveTwenty(spanned);
    const sentFirst = slow.spans.length;
    expect(sentFirst).toBeLessThanOrEqual(5);
    resolve();
    await slow.until((spans) => spans.length === sentFirst + 10);
    await spanned.stop();
    expect(slow.spans).toHaveLength(sentFirst + 10);
    await slow.close();
  });

  it('that never answers does not hold up the end of the process', async () => {
    const silent = await startTraceCollector(new Promise(() => undefined));
    const patient = { OTEL_EXPORTER_OTLP_TIMEOUT: '600000', OTEL_BSP_EXPORT_TIMEOUT: '600000' };
    const env = { ...tracingEnv(silent.endpoint), ...patient };
    const ending = await startGateway({ env });
    await addModels(ending);
    await serveTwenty(ending);
    await ending.stop();
    expect(ending.process.exitCode).toBe(0);
    await silent.close();
  });

  it('gets what is still there when the gateway ends', async () => {
    const env = { ...tracingEnv(collector.endpoint), OTEL_BSP_SCHEDULE_DELAY: '300000' };
    const ending = await startGateway({ env });
    await addModels(ending);
    const { id, apiKey } = await addTenant(ending);
    const body = { model: 'plain', messages: [{ role: 'user', content: prompt }] };
    await ending.call('/v1/chat/completions', body, { authorization: `Bearer ${apiKey}` });
    await ending.stop();
    expect(collector.spans.some(({ attributes }) => attributes['tollgate.tenant.id'] === id)).toBe(true);
  });
});

describe('tracing that is off', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

  it.each([
    ['by default', {}],
    ['by OTEL_SDK_DISABLED', { OTEL_SDK_DISABLED: 'true' }],
  ])('%s loads no SDK, and passes on what the client sends', async (how, more) => {
    const endpoint = how === 'by default' ? {} : tracingEnv(collector.endpoint);
    const off = await startGateway({ env: { ...telling, ...endpoint, ...more } });
    await addModels(off);
    const { apiKey } = await addTenant(off);
    const body = { model: 'plain', messages: [{ role: 'user', content: prompt }] };
    const authorization = `Bearer ${apiKey}`;
    await off.call('/v1/chat/completions', body, { authorization, traceparent, tracestate: 'vendor=abc' });
    expect((simulator.requests.last as AnyJson).headers).toMatchObject({
      traceparent,
      tracestate: 'vendor=abc',
    });
    await off.call('/v1/chat/completions', body, { authorization });
    const { headers } = simulator.requests.last as AnyJson;
    expect([headers.traceparent, headers.tracestate]).toEqual([undefined, undefined]);
    await off.stop();
    expect(off.output()).not.toContain('loaded OpenTelemetry');
  });

  it('is noticed, where it is on, by the modules that are loaded', () => {
    expect(gateway.output()).toContain('loaded OpenTelemetry');
  });
});
