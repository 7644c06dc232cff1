import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnyJson } from './support/admin-plane.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import { until } from './support/pipeline.ts';
import { freePort } from './support/services/free-port.ts';
import {
  administer,
  createDatabase,
  type PostgresService,
  startPostgres,
} from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';

// A gateway that logs all that it can, with secrets and texts planted wherever one may come from: what of it is in the
// log is a line for each request, and none of these.

const prompt = 'planted-prompt-6b1f';
const answerText = 'planted-answer-90c3';
/** What a provider repeats of the prompt, in each of the ways in which it fails. */
const failure = `You said ${prompt}, and I say ${answerText}.`;

const secrets = {
  ADMIN_TOKEN: 'planted-admin-token-3d71',
  OPENAI_API_KEY: 'sk-planted-openai-key-58ab',
  OTEL_EXPORTER_OTLP_HEADERS: 'x-key=planted-collector-key-c4e2',
};
const redisPassword = 'planted-redis-password-71aa';
const postgresPassword = 'planted-postgres-password-02fd';
const credential = 'sk-planted-credential-e977';
const planted = [
  ...Object.values(secrets),
  redisPassword,
  postgresPassword,
  credential,
  prompt,
  answerText,
  'planted',
];

let redis: RedisServer;
let postgres: PostgresService;
let databaseUrl: string;
let provider: Provider;
let gateway: TestGateway;
let tenant: TestTenant;

interface Provider {
  readonly url: string;
  close(): Promise<void>;
}

const json = { 'content-type': 'application/json' };
const sse = { 'content-type': 'text/event-stream' };
const usage = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 };

function chunk(changes: object): string {
  return `data: ${JSON.stringify({ id: 'chatcmpl-1', model: 'm', ...changes })}\n\n`;
}
const delta = (content: string, finish_reason: string | null = null) =>
  chunk({ choices: [{ index: 0, delta: { content }, finish_reason }] });

/** By the model that is asked for. */
const behaviours: Readonly<Record<string, (response: ServerResponse) => void>> = {
  answers: (response) => {
    const choices = [
      { index: 0, message: { role: 'assistant', content: answerText }, finish_reason: 'stop' },
    ];
    response.writeHead(200, json).end(JSON.stringify({ id: 'chatcmpl-1', model: 'm', choices, usage }));
  },
  streams: (response) => {
    response.writeHead(200, sse).write(delta(answerText));
    response.end(`${delta('', 'stop')}${chunk({ choices: [], usage })}data: [DONE]\n\n`);
  },
  refuses: (response) => {
    response.writeHead(400, json).end(JSON.stringify({ error: { message: failure, code: failure } }));
  },
  fails: (response) => void response.writeHead(500, { 'content-type': 'text/html' }).end(failure),
  redirects: (response) => void response.writeHead(302, { location: `http://x/?key=${credential}` }).end(),
  babbles: (response) => void response.writeHead(200, json).end(`{"choices": "${failure}`),
  'errs-inside': (response) => {
    response.writeHead(200, json).end(JSON.stringify({ error: { message: failure } }));
  },
  miscounts: (response) => {
    const choices = [{ index: 0, message: { content: answerText }, finish_reason: failure }];
    const wrong = { prompt_tokens: -1, completion_tokens: failure, total_tokens: 1e300 };
    response.writeHead(200, json).end(JSON.stringify({ choices, usage: wrong, service_tier: failure }));
  },
  'errs-in-stream': (response) => {
    response.writeHead(200, sse).write(delta(answerText));
    response.end(`data: ${JSON.stringify({ error: { message: failure } })}\n\n`);
  },
  cuts: (response) => {
    response.writeHead(200, sse).write(delta(answerText), () => response.destroy());
  },
  'sends-junk': (response) => {
    response.writeHead(200, sse).write(delta(answerText));
    response.end(`data: ${failure}\n\ndata: {"${failure}\n\n`);
  },
  hangs: (response) => void response.writeHead(200, sse).write(delta(answerText)),
};

async function startProvider(): Promise<Provider> {
  const server = createServer(async (request: IncomingMessage, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    response.setHeader('x-echo', body.slice(0, 500).replaceAll(/[^\x20-\x7e]/g, ' '));
    response.setHeader('set-cookie', `session=${credential}`);
    const behave = behaviours[JSON.parse(body).model];
    if (behave === undefined) response.writeHead(404, json).end('{}');
    else behave(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function withPassword(url: string, password: string): string {
  const changed = new URL(url);
  changed.password = password;
  return changed.href;
}

beforeAll(async () => {
  [redis, postgres, provider] = await Promise.all([
    startRedis({ requirepass: redisPassword }),
    startPostgres(),
    startProvider(),
  ]);
  databaseUrl = (await createDatabase(postgres.url)).url;
  const env = {
    ...secrets,
    LOG_LEVEL: 'trace',
    DATABASE_URL: withPassword(databaseUrl, postgresPassword),
    REDIS_URL: withPassword(redis.url, redisPassword),
    OPENAI_BASE_URL: provider.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
    OTEL_EXPORTER_OTLP_TIMEOUT: '100',
    MAX_BODY_BYTES: '4096',
  };
  gateway = await startGateway({ env });
  for (const model of Object.keys(behaviours)) {
    const id = `up-${model}`;
    const upstream = { id, dialects: ['openai.chat'], base_url: provider.url, credential };
    await gateway.admin('POST', '/upstreams', upstream);
    const rates = { input_per_1k: '0.001', output_per_1k: '0.002' };
    await gateway.admin('PUT', `/models/${model}`, {
      routes: [{ upstream: id, upstream_model: model }],
      rates,
    });
  }
  await addModel(gateway, 'away', { baseUrl: `http://127.0.0.1:${await freePort()}/v1` });
  tenant = await addTenant(gateway);
});

afterAll(async () => {
  await gateway.stop();
  await provider.close();
  await postgres.stop();
  await redis.stop();
});

function lines(): AnyJson[] {
  const all = gateway.output().split('\n');
  return all.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
}

const requestLines = () => lines().filter(({ msg }) => msg === 'request');

/** Those of a trace, once there is one. */
async function linesOf(traceId: string | null): Promise<AnyJson[]> {
  const own = () => requestLines().filter(({ trace_id }) => trace_id === traceId);
  await until(() => own().length > 0);
  return own();
}

function ask(model: string, changes: object = {}, headers: Record<string, string> = {}, query = '') {
  const body = { model, messages: [{ role: 'user', content: prompt }], ...changes };
  const authorization = `Bearer ${tenant.apiKey}`;
  return gateway.call(`/v1/chat/completions${query}`, body, { authorization, ...headers });
}

/** Of all that was logged so far, whatever has to do with it. */
function expectNothingPlanted(): void {
  for (const text of [...planted, tenant.apiKey]) expect(gateway.output()).not.toContain(text);
}

const latencies = { latency_ms: expect.any(Number), time_to_first_byte_ms: expect.any(Number) };
const ofPino = { level: 30, time: expect.any(Number), pid: expect.any(Number), hostname: expect.any(String) };

describe('a request', () => {
  it.each([
    ['a whole answer', 'answers', false],
    ['a stream', 'streams', true],
  ])('that is %s has one line, with its bill and how long it took', async (_, model, stream) => {
    const { headers } = await ask(model, { stream });
    const traceId = headers.get('x-request-id');
    const [charge] = (await settledTransactionsOf(gateway, tenant.id)).filter(
      ({ trace_id }) => trace_id === traceId,
    );
    expect(await linesOf(traceId)).toEqual([
      {
        ...ofPino,
        msg: 'request',
        trace_id: traceId,
        tenant_id: tenant.id,
        api_key_id: charge.api_key_id,
        transaction_id: charge.id,
        model,
        provider: charge.provider,
        stream,
        outcome: 'completed',
        code: null,
        input_tokens: charge.input_tokens,
        output_tokens: charge.output_tokens,
        usage_method: 'usage',
        charge: charge.amount,
        ...latencies,
      },
    ]);
    expectNothingPlanted();
  });

  it.each([
    ['refuses', 400, { outcome: 'upstream_refused', charge: null }],
    ['fails', 502, { outcome: 'upstream_refused', code: 'UPSTREAM_UNAVAILABLE' }],
    ['redirects', 502, { outcome: 'upstream_refused', code: 'UPSTREAM_UNAVAILABLE' }],
    ['away', 502, { outcome: 'upstream_refused', code: 'UPSTREAM_UNAVAILABLE' }],
    ['babbles', 502, { outcome: 'upstream_error', code: 'UPSTREAM_UNAVAILABLE' }],
    ['errs-inside', 200, { outcome: 'upstream_error', charge: null }],
    ['miscounts', 200, { outcome: 'completed', usage_method: 'tiktoken' }],
  ])('whose provider %s has one line, and nothing of its words', async (model, status, line) => {
    const answer = await ask(model);
    expect(answer.status).toBe(status);
    expect(await linesOf(answer.headers.get('x-request-id'))).toMatchObject([{ model, ...line }]);
    expectNothingPlanted();
  });

  it.each([
    ['errs-in-stream', { outcome: 'upstream_error' }],
    ['cuts', { outcome: 'upstream_cut' }],
    ['sends-junk', { outcome: 'upstream_cut' }],
  ])('whose stream %s has one line, and nothing of its words', async (model, line) => {
    const answer = await ask(model, { stream: true });
    const expected = [{ model, stream: true, usage_method: 'tiktoken', ...line }];
    expect(await linesOf(answer.headers.get('x-request-id'))).toMatchObject(expected);
    expectNothingPlanted();
  });

  it('whose client hangs up has one line', async () => {
    const hangUp = new AbortController();
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tenant.apiKey}` },
      body: JSON.stringify({ model: 'hangs', stream: true, messages: [{ role: 'user', content: prompt }] }),
      signal: hangUp.signal,
    });
    await response.body?.getReader().read();
    hangUp.abort();
    const expected = [{ outcome: 'client_gone', usage_method: 'tiktoken' }];
    expect(await linesOf(response.headers.get('x-request-id'))).toMatchObject(expected);
    expectNothingPlanted();
  });

  it.each([
    [
      'an unknown secret',
      'API_KEY_INVALID',
      () => ask('answers', {}, { authorization: 'Bearer tg_planted' }),
    ],
    ['a secret in its query', null, () => ask('answers', {}, {}, `?key=${tenant.apiKey}`)],
    ['an unknown model', 'MODEL_NOT_FOUND', () => ask('none')],
    ['a member that is wrong', 'REQUEST_INVALID', () => ask('answers', { max_tokens: prompt })],
    [
      'headers that are not for us',
      null,
      () => ask('answers', {}, { cookie: 'a=planted', 'x-b': 'planted' }),
    ],
  ])('with %s has one line', async (_, code, send) => {
    const answer = await send();
    expect(await linesOf(answer.headers.get('x-request-id'))).toMatchObject([{ code }]);
    expectNothingPlanted();
  });

  it('whose body is no JSON has one line', async () => {
    const authorization = `Bearer ${tenant.apiKey}`;
    const answer = await gateway.call('/v1/chat/completions', `{"model": "answers", ${prompt}`, {
      authorization,
    });
    expect(await linesOf(answer.headers.get('x-request-id'))).toMatchObject([{ code: 'REQUEST_INVALID' }]);
    expectNothingPlanted();
  });

  it('that is refused before it is read has one line', async () => {
    const answer = await ask('answers', { messages: [{ role: 'user', content: prompt.repeat(500) }] });
    expect(answer.status).toBe(413);
    const own = () => lines().filter(({ code }) => code === 'REQUEST_TOO_LARGE');
    await until(() => own().length > 0);
    expect(own()).toMatchObject([{ level: 30, msg: 'request turned away' }]);
    expectNothingPlanted();
  });
});

it('an admin call leaves nothing of its secrets, whether it is taken or not', async () => {
  const hook = { url: 'https://hooks.example/planted-path-5e?token=planted-token-ad' };
  const { secret } = await gateway.admin('POST', '/webhooks', hook);
  const { secret: apiKey } = await gateway.admin('POST', `/tenants/${tenant.id}/api-keys`, { name: 'other' });
  await gateway.adminCall('POST', '/upstreams', { id: 'bad', dialects: [prompt], credential });
  await gateway.adminCall('POST', '/upstreams', { credential }, { authorization: 'Bearer planted-wrong' });
  const malformed = { method: 'POST', body: `{"credential": "${credential}` };
  const headers = { authorization: `Bearer ${secrets.ADMIN_TOKEN}`, 'content-type': 'application/json' };
  expect((await fetch(`${gateway.url}/admin/v1/upstreams`, { ...malformed, headers })).status).toBe(400);
  expect(gateway.output()).not.toContain(secret);
  expect(gateway.output()).not.toContain(apiKey);
  expectNothingPlanted();
});

it('what is no HTTP leaves nothing', async () => {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname);
  socket.write(`planted nonsense ${tenant.apiKey}\r\n\r\n`);
  await new Promise((resolve) => socket.on('close', resolve).resume());
  expectNothingPlanted();
});

describe('a fault of our own', () => {
  /** The ledger refuses rows of this kind: the engine's own words would repeat the row. */
  async function refusing(table: string, condition: string, work: () => Promise<void>): Promise<void> {
    await administer(
      databaseUrl,
      `ALTER TABLE ${table} ADD CONSTRAINT refusing CHECK (${condition}) NOT VALID`,
    );
    try {
      await work();
    } finally {
      await administer(databaseUrl, `ALTER TABLE ${table} DROP CONSTRAINT refusing`);
    }
  }

  it('is logged with its cause, beside the line of its request', async () => {
    await refusing('billing_transaction', `model <> 'answers'`, async () => {
      const answer = await ask('answers');
      expect(answer.status).toBe(500);
      const traceId = answer.headers.get('x-request-id');
      expect(await linesOf(traceId)).toMatchObject([{ code: 'INTERNAL', outcome: null, charge: null }]);
      const faults = lines().filter(({ trace_id, level }) => trace_id === traceId && level >= 50);
      expect(JSON.stringify(faults)).toContain('violates check constraint');
    });
    expectNothingPlanted();
  });

  it('of an admin call is logged under the reference of its answer', async () => {
    await refusing('upstream', `id <> 'refused'`, async () => {
      const upstream = { id: 'refused', dialects: ['openai.chat'], base_url: provider.url, credential };
      const { status, json: body } = await gateway.adminCall('POST', '/upstreams', upstream);
      expect(status).toBe(500);
      const reference = /reference ([0-9a-f-]{36})/.exec(body.error.message)?.[1] ?? 'none';
      const own = () => lines().filter((line) => JSON.stringify(line).includes(reference));
      await until(() => own().length > 0);
      expect(own()).toMatchObject([{ level: 50, msg: 'an admin call failed unexpectedly' }]);
      expect(JSON.stringify(own())).toContain('violates check constraint');
    });
    expectNothingPlanted();
  });

  it('before it is known who asks is one line, beside its fault', async () => {
    const { secret } = await gateway.admin('POST', `/tenants/${tenant.id}/api-keys`, { name: 'unseen' });
    await administer(databaseUrl, 'ALTER TABLE api_key RENAME TO away');
    const answer = await ask('answers', {}, { authorization: `Bearer ${secret}` });
    await administer(databaseUrl, 'ALTER TABLE away RENAME TO api_key');
    expect(answer.status).toBe(500);
    const own = () => lines().filter(({ msg, code }) => msg === 'request turned away' && code === 'INTERNAL');
    await until(() => own().length > 0);
    expect(own()).toHaveLength(1);
    expect(gateway.output()).not.toContain(secret);
  });

  it('where Redis is away leaves no password', async () => {
    await redis.crash();
    const answer = await ask('answers');
    expect(answer.status).toBe(503);
    const expected = [{ code: 'HOT_STATE_UNAVAILABLE' }];
    expect(await linesOf(answer.headers.get('x-request-id'))).toMatchObject(expected);
    await redis.restart();
    await until(async () => (await ask('answers')).status === 200);
    expectNothingPlanted();
  });
});

it.each([
  ['Redis takes no such password', () => ({ REDIS_URL: withPassword(redis.url, 'planted-wrong-1') })],
  [
    'nobody is where the ledger should be',
    () => ({ DATABASE_URL: 'postgres://a:planted-wrong-2@127.0.0.1:9/b' }),
  ],
  ['a variable is wrong', () => ({ REDIS_URL: 'http://:planted-wrong-3@x', ADMIN_TOKEN: 'planted' })],
])('a start that fails because %s says so without a secret', async (_, environment) => {
  const failed = await startGateway({ env: environment() }).then(
    () => 'it started',
    (error: Error) => error.message,
  );
  expect(failed).toContain('did not get ready');
  expect(failed).not.toContain('planted');
});

it('every request has one line and no more, and nothing planted is in all of the log', async () => {
  await gateway.stop();
  const traceIds = requestLines().flatMap(({ trace_id }) => trace_id ?? []);
  expect(new Set(traceIds).size).toBe(traceIds.length);
  expect(traceIds.length).toBeGreaterThan(20);
  expect(lines().some(({ level }) => level === 10)).toBe(true);
  expectNothingPlanted();
});
