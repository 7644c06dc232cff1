import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnyJson } from './support/admin-plane.ts';
import { type CorpusRecord, chunksOf, readCorpus } from './support/corpus.ts';
import type { CorpusApi } from './support/corpus-api.ts';
import { anthropicCountTokensApi, anthropicMessagesApi } from './support/corpus-apis/anthropic.ts';
import { geminiCountTokensApi, geminiGenerateApi, geminiStreamApi } from './support/corpus-apis/gemini.ts';
import { openaiChatApi } from './support/corpus-apis/openai-chat.ts';
import { openaiCompletionsApi } from './support/corpus-apis/openai-completions.ts';
import { openaiEmbeddingsApi } from './support/corpus-apis/openai-embeddings.ts';
import { openaiResponsesApi } from './support/corpus-apis/openai-responses.ts';
import {
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import { expectReceiptToExplain } from './support/receipts.ts';

// Every recorded exchange goes through a running gateway: what real providers sent has to reach the client
// as it was, the ledger has to say what they say, and every receipt has to explain its amount.

const apis: readonly CorpusApi[] = [
  openaiChatApi,
  openaiResponsesApi,
  openaiEmbeddingsApi,
  openaiCompletionsApi,
  anthropicMessagesApi,
  anthropicCountTokensApi,
  geminiGenerateApi,
  geminiStreamApi,
  geminiCountTokensApi,
];

const replays = apis.map((api) => ({ api, records: readCorpus(api.api) }));
const recordHeader = 'x-corpus-record';
const rates = { input_per_1m: '1', output_per_1m: '2', cache_read_per_1m: '0.1', per_web_search: '0.01' };

let gateway: TestGateway;
let provider: Server;

beforeAll(async () => {
  provider = createServer((request, response) => void replay(request, response)).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  gateway = await startGateway();
  const baseUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  for (const { api, records } of replays) {
    for (const name of new Set(records.map((record) => record.provider))) {
      const model = modelOf(api, name);
      await gateway.admin('POST', '/upstreams', {
        id: `up-${model}`,
        provider: name,
        dialects: [api.dialect],
        base_url: baseUrl,
      });
      await gateway.admin('PUT', `/models/${model}`, {
        routes: [{ upstream: `up-${model}`, upstream_model: `their-${name}` }],
        rates,
      });
    }
  }
});

afterAll(async () => {
  await gateway.stop();
  provider.close();
});

const modelOf = (api: CorpusApi, name: string) => `${name}.${api.api}`;

/** Serves the recorded bytes, cut as they were or at random, each piece in a packet of its own. */
async function replay(request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume();
  await once(request, 'end');
  const [api, index] = String(request.headers[recordHeader]).split('/');
  const record = replays.find((one) => one.api.api === api)!.records[Number(index)]!;
  const { status, content_type: contentType } = record.response;
  response.writeHead(status, contentType === '' ? {} : { 'content-type': contentType });
  for (const chunk of chunksOf(record)) {
    response.write(chunk);
    await turn();
  }
  response.end();
}

async function send(api: CorpusApi, tenant: TestTenant, record: CorpusRecord, index: number) {
  const model = modelOf(api, record.provider);
  const response = await fetch(`${gateway.url}${api.pathOf(record, model)}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${tenant.apiKey}`,
      'content-type': 'application/json',
      'idempotency-key': record.id,
      [recordHeader]: `${api.api}/${index}`,
    },
    body: JSON.stringify(api.bodyOf(record, model)),
  });
  const { status, content_type: contentType } = record.response;
  const body = await response.text();
  expect(response.status, `${record.id}: ${body.slice(0, 300)}`).toBe(status);
  expect(response.headers.get('content-type') ?? '', record.id).toBe(contentType);
  expect(body, record.id).toBe(api.deliveredOf(record));
}

const ends = ['exact', 'excepted', 'counted', 'voided', 'free'] as const;
type End = (typeof ends)[number];

/** Which of the ends it came to, checked against the record alone. */
function expectBilled(api: CorpusApi, record: CorpusRecord, charge: AnyJson): End {
  if (api.isFree) {
    expect(charge, record.id).toBeUndefined();
    return 'free';
  }
  if (record.response.status !== 200 || api.isVoided(record)) {
    expect(charge, record.id).toMatchObject({ status: 'VOIDED', amount: null });
    return 'voided';
  }
  expect(charge?.status, record.id).toBe('COMMITTED');
  const expected = api.expectedTokens(record);
  if (api.exceptions.has(record.id)) {
    // Never less than the provider's own total, whatever stands beside it.
    expect(charge.input_tokens, record.id).toBeGreaterThanOrEqual(expected?.input ?? 1);
    expect(charge.output_tokens, record.id).toBeGreaterThanOrEqual(expected?.output ?? 0);
    return 'excepted';
  }
  if (expected === null) {
    expect(charge, record.id).toMatchObject({ usage_method: 'tiktoken' });
    expect(charge.input_tokens, record.id).toBeGreaterThan(0);
    return 'counted';
  }
  expect(charge.usage_method, record.id).toBe('usage');
  expect({ input: charge.input_tokens, output: charge.output_tokens }, record.id).toEqual(expected);
  return 'exact';
}

function report(api: CorpusApi, records: readonly CorpusRecord[], reached: readonly End[]): void {
  const line = (indexes: readonly number[]) =>
    [
      `${indexes.length} records`,
      ...ends.flatMap((end) => {
        const count = indexes.filter((index) => reached[index] === end).length;
        return count === 0 ? [] : [`${count} ${end}`];
      }),
    ].join(', ');
  const lines = [`corpus: ${api.api}: ${line([...records.keys()])}`];
  for (const name of [...new Set(records.map((record) => record.provider))].sort()) {
    lines.push(
      `  ${name}: ${line([...records.keys()].filter((index) => records[index]?.provider === name))}`,
    );
  }
  console.info(lines.join('\n'));
}

describe.each(replays)('$api.api', ({ api, records }) => {
  it(`replays ${records.length} recorded exchanges: bytes as recorded, tokens as the provider counts them, receipts that add up`, async () => {
    const tenant = await addTenant(gateway, { balance: '1000000' });
    const waiting = records.entries();
    async function work(): Promise<void> {
      for (const [index, record] of waiting) await send(api, tenant, record, index);
    }
    await Promise.all(Array.from({ length: 8 }, work));

    const charges = await settledTransactionsOf(gateway, tenant.id);
    const byTrace = new Map(charges.map((charge) => [charge.trace_id, charge]));
    report(
      api,
      records,
      records.map((record) => expectBilled(api, record, byTrace.get(record.id))),
    );
    expect(charges).toHaveLength((api.isFree ? 0 : records.length) + 1);
    for (const { id, type, status } of charges) {
      if (type !== 'CHARGE' || status !== 'COMMITTED') continue;
      expectReceiptToExplain(await gateway.admin('GET', `/transactions/${id}`));
    }
  });
});
