import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AnyJson } from './support/admin-plane.ts';
import {
  type CorpusRecord,
  chatExceptions,
  chunksOf,
  expectedTokens,
  readCorpus,
  withoutUsageChunks,
} from './support/corpus.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';

// Every recorded chat completion goes through a running gateway: what real providers sent has to reach the
// client as it was, and the ledger has to say what they say.

const records = readCorpus('chat.completions');
const recordHeader = 'x-corpus-record';

let gateway: TestGateway;
let provider: Server;
let tenant: TestTenant;

beforeAll(async () => {
  provider = createServer((request, response) => void replay(request, response)).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  gateway = await startGateway();
  const baseUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  for (const name of new Set(records.map((record) => record.provider))) {
    await addModel(
      gateway,
      name,
      { baseUrl, provider: name },
      { rates: { input_per_1m: '1', output_per_1m: '2' } },
    );
  }
  tenant = await addTenant(gateway, { balance: '1000000' });
});

afterAll(async () => {
  await gateway.stop();
  provider.close();
});

/** Serves the recorded bytes, cut as they were or at random, each piece in a packet of its own. */
async function replay(request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume();
  await once(request, 'end');
  const record = records[Number(request.headers[recordHeader])]!;
  const { status, content_type: contentType } = record.response;
  response.writeHead(status, contentType === '' ? {} : { 'content-type': contentType });
  for (const chunk of chunksOf(record)) {
    response.write(chunk);
    await turn();
  }
  response.end();
}

async function send(record: CorpusRecord, index: number) {
  const { _omitted: _, ...request } = record.request ?? {};
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${tenant.apiKey}`,
      'content-type': 'application/json',
      'idempotency-key': record.id,
      [recordHeader]: String(index),
    },
    body: JSON.stringify({
      messages: [{ role: 'user', content: 'as recorded' }],
      ...request,
      model: record.provider,
      stream: record.stream,
    }),
  });
  return { response, body: await response.text(), asksUsage: asksUsage(request) };
}

function asksUsage(request: { readonly stream_options?: unknown }): boolean {
  return (request.stream_options as AnyJson)?.include_usage === true;
}

function expectDelivered(record: CorpusRecord, sent: Awaited<ReturnType<typeof send>>): void {
  const { status, content_type: contentType, body } = record.response;
  expect(sent.response.status, record.id).toBe(status);
  expect(sent.response.headers.get('content-type') ?? '', record.id).toBe(contentType);
  const expected = record.stream && !sent.asksUsage ? withoutUsageChunks(body) : body;
  expect(sent.body, record.id).toBe(expected);
}

/** Which of the ends it came to, checked against the record alone. */
function expectBilled(record: CorpusRecord, charge: AnyJson): 'usage' | 'excepted' | 'counted' | 'voided' {
  const expected = expectedTokens(record);
  if (record.response.status !== 200) {
    expect(charge, record.id).toMatchObject({ status: 'VOIDED', amount: null });
    return 'voided';
  }
  if (expected === null && charge.status === 'VOIDED') {
    // Nothing but an error came: there was nothing to charge.
    expect(record.response.body, record.id).toContain('"error"');
    return 'voided';
  }
  expect(charge.status, record.id).toBe('COMMITTED');
  if (expected === null) {
    expect(charge, record.id).toMatchObject({ usage_method: 'tiktoken' });
    expect(charge.input_tokens, record.id).toBeGreaterThan(0);
    return 'counted';
  }
  expect(charge.usage_method, record.id).toBe('usage');
  if (chatExceptions.has(record.id)) return 'excepted';
  expect({ input: charge.input_tokens, output: charge.output_tokens }, record.id).toEqual(expected);
  return 'usage';
}

it(`replays ${records.length} recorded exchanges: bytes as recorded, tokens as the provider counts them`, async () => {
  const waiting = records.entries();
  async function work(): Promise<void> {
    for (const [index, record] of waiting) expectDelivered(record, await send(record, index));
  }
  await Promise.all(Array.from({ length: 8 }, work));

  const charges = await settledTransactionsOf(gateway, tenant.id);
  const byTrace = new Map(charges.map((charge) => [charge.trace_id, charge]));
  const ends = records.map((record) => expectBilled(record, byTrace.get(record.id)));
  const count = (end: string) => ends.filter((one) => one === end).length;
  console.info(
    `corpus: ${records.length} chat completions replayed through the gateway: ${count('usage')} exact by ` +
      `upstream's usage, ${count('excepted')} excepted, ${count('counted')} counted by us, ${count('voided')} voided`,
  );
  expect(charges).toHaveLength(records.length + 1);
});
