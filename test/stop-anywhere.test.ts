import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ServedModel, Upstream } from '../src/catalog/catalog.ts';
import type { ClientCall, Dialect } from '../src/dialects/dialect.ts';
import { dialects } from '../src/dialects/dialects.ts';
import type { Cancellation } from '../src/domain/cancellation.ts';
import { formatAmount, nano, parseRate } from '../src/domain/money.ts';
import { type Quirks, quirksOf } from '../src/domain/quirks.ts';
import type { Outcome, Transaction } from '../src/domain/transaction.ts';
import { UpstreamBodyError, type UpstreamClient } from '../src/upstream/upstream.ts';
import { samples } from './fuzz/samples.ts';
import { type CorpusRecord, readCorpus } from './support/corpus.ts';
import type { CorpusApi } from './support/corpus-api.ts';
import { anthropicMessagesApi } from './support/corpus-apis/anthropic.ts';
import { geminiStreamApi } from './support/corpus-apis/gemini.ts';
import { openaiChatApi } from './support/corpus-apis/openai-chat.ts';
import { openaiCompletionsApi } from './support/corpus-apis/openai-completions.ts';
import { openaiResponsesApi } from './support/corpus-apis/openai-responses.ts';
import { costsLessInTheEnd } from './support/falling-streams.ts';
import { RecordedClient, useParts } from './support/pipeline.ts';

// A stream is stopped behind each of its events, by upstream and by the client: what is charged has to
// follow DESIGN.md section 6, and a longer stream must never be cheaper than a shorter one.

const streams = 50;
const longestStream = 60;

interface Stream {
  readonly name: string;
  /** The provider's own name of the model, by which its vocabulary is known. */
  readonly model: string;
  readonly dialect: Dialect;
  readonly call: ClientCall;
  readonly quirks: Quirks;
  readonly contentType: string;
  readonly events: readonly string[];
}

function eventsOf(body: string, contentType: string): readonly string[] {
  return contentType.includes('json') ? body.split(/(?<=\}\s*,)/) : body.split(/(?<=\n\n|\r\n\r\n)/);
}

function recorded(api: CorpusApi, record: CorpusRecord): Stream[] {
  const { status, body, content_type: contentType } = record.response;
  const events = eventsOf(body, contentType);
  const fits = events.length >= 4 && events.length <= longestStream;
  if (!record.stream || status !== 200 || !fits || costsLessInTheEnd(record.id)) return [];
  const [path = '', query = ''] = api.pathOf(record, 'model').split('?');
  const dialect = dialects.find(
    ({ name, paths }) => name === api.dialect && paths.some((own) => path.startsWith(own.replace(/\*$/, ''))),
  );
  if (dialect === undefined) return [];
  const call = {
    path,
    query: new URLSearchParams(query),
    body: Buffer.from(JSON.stringify({ ...api.bodyOf(record, 'model') })),
  };
  const model = record.model ?? 'unnamed';
  return [{ name: record.id, model, dialect, call, quirks: quirksOf(record.provider), contentType, events }];
}

/**
 * Evenly from every API, but for the few that were reviewed: every stream is measured, those too, in
 * `src/gateway/meter.corpus.test.ts`. Each provider's way of streaming is among them.
 */
function chosen(): readonly Stream[] {
  const apis = [
    openaiChatApi,
    openaiResponsesApi,
    anthropicMessagesApi,
    geminiStreamApi,
    openaiCompletionsApi,
  ];
  const shares = [20, 10, 10, 8, 2];
  return apis.flatMap((api, index) => {
    const all = readCorpus(api.api).flatMap((record) => recorded(api, record));
    const share = Math.min(shares[index] ?? 0, all.length);
    return Array.from({ length: share }, (_, place) => all[Math.floor((place * all.length) / share)]!);
  });
}

/** Our own streams, where the recorded ones aren't here. */
function own(): readonly Stream[] {
  return samples().map(({ name, dialect, context, bytes }) => {
    const { quirks, contentType, request } = context;
    const { path, body } = request.callFor({ model: 'm', quirks, maxOutputTokens: null });
    const [pathname = '', query = ''] = (dialect.name.startsWith('openai') ? `/v1${path}` : path).split('?');
    const call = { path: pathname, query: new URLSearchParams(query), body };
    return {
      name,
      model: 'unnamed',
      dialect,
      call,
      quirks,
      contentType,
      events: eventsOf(bytes.toString(), contentType),
    };
  });
}

const recordedStreams = chosen();
console.info(
  recordedStreams.length === 0
    ? 'corpus: not here, streams of our own are stopped instead'
    : `corpus: ${recordedStreams.length} recorded streams are stopped behind each event`,
);

const given = useParts();
const rates = {
  input: parseRate('1', 1_000_000),
  cache_read: parseRate('0.1', 1_000_000),
  output: parseRate('10', 1_000_000),
};

type Stop = 'upstream_cut' | 'client_gone' | 'completed';

/** An upstream that sends so many events, and then breaks off, waits for the client to leave, or ends. */
function upstreamOf({ events, contentType }: Stream, count: number, stop: Stop, client: RecordedClient) {
  const body = async function* (signal: Cancellation) {
    for (const event of events.slice(0, count)) yield Buffer.from(event);
    if (stop === 'completed') return;
    if (stop === 'client_gone') {
      client.hangUp();
      for (let waited = 0; waited < 500 && !signal.aborted; waited++) await sleep(1);
    }
    throw new UpstreamBodyError(stop === 'client_gone' ? 'aborted' : 'cut');
  };
  const client_: UpstreamClient = {
    send: async ({ signal }) => ({
      kind: 'response',
      status: 200,
      headers: { 'content-type': contentType },
      body: body(signal),
    }),
    close: async () => undefined,
  };
  return client_;
}

async function serve(stream: Stream, count: number, stop: Stop, apiKey: string) {
  const { parts } = given;
  const client = new RecordedClient();
  const upstream: Upstream = {
    id: 'recorded' as Upstream['id'],
    provider: 'recorded',
    dialects: [stream.dialect.name],
    baseUrl: 'http://recorded.test',
    credential: null,
    headersTimeoutMs: 1000,
    idleTimeoutMs: 1000,
    quirkOverrides: {},
    quirks: stream.quirks,
    createdAt: new Date(0),
  };
  const route = {
    upstreamId: upstream.id,
    upstreamModel: stream.model,
    weight: 1,
    priority: 0,
    whenClientGone: 'cancel' as const,
    costRates: null,
  };
  const model: ServedModel = {
    name: 'model',
    routes: [route],
    targets: [{ route, upstream }],
    rateCards: [{ effectiveFromMs: 0, rates }],
    maxInputTokens: null,
    maxOutputTokens: 1000,
    createdAt: new Date(0),
  };
  const pipeline = parts.pipeline({
    upstreams: upstreamOf(stream, count, stop, client),
    catalog: { ...parts.catalog, findModel: async () => model },
  });
  const { dialect, call } = stream;
  const headers = { authorization: `Bearer ${apiKey}`, 'idempotency-key': `${stop}-${count}` };
  await pipeline.serve(
    { dialect, call, headers, address: '127.0.0.1', arrivedAtMs: performance.now(), spans: null },
    client,
  );
  await pipeline.idle();
  return client;
}

interface Row {
  readonly transaction: Transaction;
  readonly outcome: Outcome;
}

async function rowsOf(tenantId: string): Promise<ReadonlyMap<string, Row>> {
  const { driver, ledger } = given.parts;
  const outcomes = await driver.query<{ trace_id: string; outcome: Outcome }>(
    `SELECT b.trace_id, u.outcome FROM usage_record u
     JOIN billing_transaction b ON b.tenant_id = u.tenant_id AND b.id = u.transaction_id
     WHERE u.tenant_id = $1`,
    [tenantId],
  );
  const rows = new Map<string, Row>();
  const transactions = await ledger.list({ tenantId: tenantId as Transaction['tenantId'], limit: 1000 });
  for (const { trace_id: traceId, outcome } of outcomes) {
    const transaction = transactions.find((one) => one.traceId === traceId);
    if (transaction !== undefined) rows.set(traceId, { transaction, outcome });
  }
  return rows;
}

/** Nothing charged, or the amount. */
function amountOf(row: Row | undefined, what: string): bigint {
  if (row === undefined) throw new Error(`${what} left no row`);
  const { transaction } = row;
  if (transaction.status === 'PENDING') throw new Error(`${what} is still PENDING`);
  return transaction.status === 'COMMITTED' ? transaction.amount : 0n;
}

/** How the formats say that an answer has ended, and that it failed. */
const ended =
  /\[DONE\]|"type": ?"(message_stop|response\.(completed|incomplete|failed))"|"finish_?[rR]eason": ?"|"blockReason"|"value"/;
const failed = /event: error|"error": ?[{"]|"type": ?"(error|response\.failed)"/;

function expectOutcome(
  row: Row | undefined,
  stop: Stop,
  { events }: Stream,
  count: number,
  what: string,
): void {
  // A client that left pays for its prompt; a cut before the first event is nobody's charge.
  if (count === 0) {
    expect(row?.transaction.status, what).toBe(stop === 'client_gone' ? 'COMMITTED' : 'VOIDED');
  }
  const sent = events.slice(0, count).join('');
  // An error inside the stream names its end; and behind the event that ends the answer it is complete,
  // whoever hangs up. Anything before is what stopped it.
  const permitted = [
    stop,
    ...(failed.test(sent) ? ['upstream_error'] : []),
    ...(ended.test(sent) ? ['completed'] : []),
  ];
  expect(permitted, what).toContain(row?.outcome);
}

const shown = (amount: bigint) => formatAmount(nano(amount));

describe.each(recordedStreams.length === 0 ? own() : recordedStreams)('$name', (stream) => {
  it('stopped behind any event is charged by what was delivered, and never less for more', async () => {
    const tenant = await given.parts.addTenant('100000');
    const { length } = stream.events;
    for (let count = 0; count < length; count++) {
      await serve(stream, count, 'upstream_cut', tenant.apiKey);
      await serve(stream, count, 'client_gone', tenant.apiKey);
    }
    await serve(stream, length, 'completed', tenant.apiKey);
    const rows = await rowsOf(tenant.id);
    const whole = amountOf(rows.get(`completed-${length}`), 'the whole stream');
    for (const stop of ['upstream_cut', 'client_gone'] as const) {
      let before = 0n;
      for (let count = 0; count < length; count++) {
        const what = `${stop} behind ${count} of ${length} events`;
        const row = rows.get(`${stop}-${count}`);
        const amount = amountOf(row, what);
        expectOutcome(row, stop, stream, count, what);
        expect(amount >= before, `${what}: ${shown(amount)} after ${shown(before)}`).toBe(true);
        before = amount;
      }
      expect(whole >= before, `whole: ${shown(whole)}, ${stop} before its end: ${shown(before)}`).toBe(true);
    }
    expect(given.parts.faults.filter((fault) => !fault.includes('relaying'))).toEqual([]);
  });
});

it(`stops ${streams} recorded streams where they are here`, () => {
  expect([0, streams]).toContain(recordedStreams.length);
});
