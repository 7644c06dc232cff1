import { describe, expect, it } from 'vitest';
import {
  answering,
  gated,
  RecordedClient,
  requestOf,
  stateOf,
  until,
  useParts,
} from '../../test/support/pipeline.ts';
import { parseAmount } from '../domain/money.ts';

// One admitted request and those who may end it: the client, the provider, and time.

const given = useParts();

describe('a request that takes too long', () => {
  it('before upstream answers is a timeout and a void', async () => {
    const client = new RecordedClient();
    const pipeline = given.parts.pipeline({ pendingTtlMs: 60_200 });
    await pipeline.serve(requestOf(given.tenant.apiKey, 'ttfb_ms=20000'), client);
    expect(client.code).toBe('UPSTREAM_TIMEOUT');
    expect((await stateOf(given.parts, given.tenant.id)).rows).toMatchObject([{ status: 'VOIDED' }]);
  });

  it('is ended before its PENDING row expires, and pays what it was sent', async () => {
    const pipeline = given.parts.pipeline({ pendingTtlMs: 60_300 });
    const client = new RecordedClient();
    await pipeline.serve(
      requestOf(given.tenant.apiKey, 'tokens_per_second=20&tokens=4000', { stream: true }),
      client,
    );
    expect(client.text).toContain('UPSTREAM_TIMEOUT');
    const { rows } = await stateOf(given.parts, given.tenant.id);
    expect(rows).toMatchObject([{ status: 'COMMITTED', usageMethod: 'tiktoken' }]);
  });
});

describe('a client that is gone', () => {
  it('while its row is being written: upstream is not left running', async () => {
    const { ledger, open } = gated(given.parts.ledger, 'createPending', 'before');
    const client = new RecordedClient();
    const pipeline = given.parts.pipeline({ ledger });
    const before = given.parts.simulator.requests.completed;
    const keyed = requestOf(
      given.tenant.apiKey,
      'tokens_per_second=50&tokens=400',
      { stream: true },
      { 'idempotency-key': 'left' },
    );
    const served = pipeline.serve(keyed, client);
    await until(async () => ((await stateOf(given.parts, given.tenant.id)).held ?? 0n) > 0n);
    client.hangUp();
    open();
    await served;
    await pipeline.idle();
    await given.parts.simulator.requests.settled();
    expect(given.parts.simulator.requests.completed).toBe(before);
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({ held: 0n, open: 0 });
  });

  it('before its request was admitted leaves no row and no hold', async () => {
    const client = new RecordedClient();
    client.hangUp();
    const pipeline = given.parts.pipeline();
    await pipeline.serve(requestOf(given.tenant.apiKey, ''), client);
    await pipeline.idle();
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({ held: 0n, rows: [] });
  });

  it('while upstream was not yet reached pays nothing', async () => {
    const client = new RecordedClient();
    const pipeline = given.parts.pipeline({
      upstreams: {
        send: (call) =>
          new Promise((resolve) => {
            call.signal.addEventListener('abort', () =>
              resolve({ kind: 'unreachable', reason: 'aborted', sent: false, cause: null }),
            );
            client.hangUp();
          }),
        close: async () => undefined,
      },
    });
    await pipeline.serve(requestOf(given.tenant.apiKey, ''), client);
    await pipeline.idle();
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({
      held: 0n,
      rows: [{ status: 'VOIDED' }],
    });
  });
});

const sse = { 'content-type': 'text/event-stream' };

const event = (json: object) => `data: ${JSON.stringify(json)}\n\n`;

describe('what a provider may say', () => {
  it('by a 429 that is no JSON keeps its status and when to come back, in our words', async () => {
    const client = new RecordedClient();
    const headers = { 'content-type': 'text/plain', 'retry-after': '20' };
    const pipeline = given.parts.pipeline({ upstreams: answering(429, headers, 'slow down') });
    await pipeline.serve(requestOf(given.tenant.apiKey, ''), client);
    expect(client.head).toMatchObject({
      status: 429,
      headers: { 'retry-after': '20', 'content-type': 'application/json' },
    });
    expect(JSON.parse(client.text).error.code).toBe('UPSTREAM_UNAVAILABLE');
  });

  it.each([
    ['a finish reason', event({ choices: [{ index: 0, delta: { content: 'a' }, finish_reason: 'st\0op' }] })],
    [
      'an error',
      event({ choices: [{ index: 0, delta: { content: 'a' } }] }) + event({ error: { message: 'br\0ken' } }),
    ],
  ])('with a NUL in %s is settled all the same', async (_, body) => {
    const pipeline = given.parts.pipeline({ upstreams: answering(200, sse, body, 'data: [DONE]\n\n') });
    await pipeline.serve(requestOf(given.tenant.apiKey, '', { stream: true }), new RecordedClient());
    await pipeline.idle();
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({
      open: 0,
      held: 0n,
      rows: [{ status: 'COMMITTED' }],
    });
    expect(given.parts.faults).toEqual([]);
  });

  it('is not believed when it is more tokens than there are', async () => {
    const usage = { prompt_tokens: 1e15, completion_tokens: 5, total_tokens: 1e15 + 5 };
    const choices = [{ index: 0, message: { role: 'assistant', content: 'a' }, finish_reason: 'stop' }];
    const answer = answering(200, { 'content-type': 'application/json' }, JSON.stringify({ choices, usage }));
    const pipeline = given.parts.pipeline({ upstreams: answer });
    await pipeline.serve(requestOf(given.tenant.apiKey, ''), new RecordedClient());
    const [row] = (await stateOf(given.parts, given.tenant.id)).rows;
    expect(row).toMatchObject({ status: 'COMMITTED', usageMethod: 'tiktoken' });
    expect(row?.status === 'COMMITTED' && row.amount < parseAmount('0.01')).toBe(true);
  });

  it.each([
    ['a redirect', 307, { location: 'http://elsewhere/' }, '{}'],
    ['a page that is no JSON', 502, { 'content-type': 'text/html' }, '<html>Bad gateway</html>'],
    ['nothing to see', 304, {}, ''],
  ])('by %s is not passed on: it is UPSTREAM_UNAVAILABLE and a void', async (_, status, headers, body) => {
    const client = new RecordedClient();
    const upstreams = answering(status, headers as Record<string, string>, body);
    await given.parts.pipeline({ upstreams }).serve(requestOf(given.tenant.apiKey, ''), client);
    expect(client.code).toBe('UPSTREAM_UNAVAILABLE');
    expect((await stateOf(given.parts, given.tenant.id)).rows).toMatchObject([{ status: 'VOIDED' }]);
  });
});
