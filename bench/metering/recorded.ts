import type { Dialect, DialectRequest } from '../../src/dialects/dialect.ts';
import { dialects } from '../../src/dialects/dialects.ts';
import { type Quirks, quirksOf } from '../../src/domain/quirks.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { type CorpusRecord, chunksOf, readCorpus } from '../../test/support/corpus.ts';
import type { CorpusApi } from '../../test/support/corpus-api.ts';
import { anthropicMessagesApi } from '../../test/support/corpus-apis/anthropic.ts';
import { geminiStreamApi } from '../../test/support/corpus-apis/gemini.ts';
import { openaiChatApi } from '../../test/support/corpus-apis/openai-chat.ts';
import { openaiCompletionsApi } from '../../test/support/corpus-apis/openai-completions.ts';
import { openaiResponsesApi } from '../../test/support/corpus-apis/openai-responses.ts';

/** One stream as its provider sent it, and the request that it answers. */
export interface RecordedStream {
  readonly request: DialectRequest;
  readonly quirks: Quirks;
  readonly contentType: string;
  readonly upstreamModel: string;
  /** An event each, where its events can be told apart without reading them. */
  readonly chunks: readonly Buffer[];
  /** The JSON of its events. */
  readonly payloads: readonly string[];
}

export interface RecordedStreams {
  readonly dialect: Dialect;
  /** Real answers of providers where they are at hand, those of the simulated one otherwise. */
  readonly source: 'corpus' | 'simulator';
  readonly streams: readonly RecordedStream[];
}

const text = 'Tell me of the sea, and of the storm that nobody had thought of.';
const messages = [{ role: 'user', content: text }];
const model = 'sim-small';

/** Every wire format that has streams, and what the simulator is asked for in it. */
const apis: readonly { readonly api: CorpusApi; readonly body: object }[] = [
  { api: openaiChatApi, body: { model, messages, stream: true, stream_options: { include_usage: true } } },
  { api: openaiCompletionsApi, body: { model, prompt: text, stream: true } },
  { api: openaiResponsesApi, body: { model, input: text, stream: true } },
  { api: anthropicMessagesApi, body: { model, messages, max_tokens: 1_024, stream: true } },
  { api: geminiStreamApi, body: { contents: [{ role: 'user', parts: [{ text }] }] } },
];

export async function readRecordedStreams(): Promise<readonly RecordedStreams[]> {
  const simulator = await startSimulator();
  try {
    return await Promise.all(
      apis.map(({ api, body }) => streamsOf(api, () => simulated(api, body, simulator.origin))),
    );
  } finally {
    await simulator.close();
  }
}

async function streamsOf(api: CorpusApi, simulate: () => Promise<CorpusRecord>): Promise<RecordedStreams> {
  const dialect = dialects.find(({ name }) => name === api.dialect);
  if (dialect === undefined) throw new Error(`there is no dialect ${api.dialect}`);
  const recorded = readCorpus(api.api).filter(({ stream, response }) => stream && response.status === 200);
  const isRecorded = recorded.length > 0;
  const records = isRecorded ? recorded : [await simulate()];
  const streams = records.flatMap((record) => readStream(api, dialect, record) ?? []);
  return { dialect, source: isRecorded ? 'corpus' : 'simulator', streams };
}

async function simulated(api: CorpusApi, body: object, origin: string): Promise<CorpusRecord> {
  const record = {
    id: 'simulated',
    provider: 'sim',
    stream: true,
    model,
    request: { ...body },
    response: { status: 200, content_type: 'text/event-stream', body: '' },
    usage: null,
  };
  const response = await fetch(`${origin}${api.pathOf(record, model)}`, {
    method: 'POST',
    // Anthropic's format asks for its version; no other minds.
    headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`the simulator answers ${api.api} with ${response.status}`);
  return {
    ...record,
    response: { ...record.response, status: response.status, body: await response.text() },
  };
}

/** Null where the gateway would refuse the request. */
function readStream(api: CorpusApi, dialect: Dialect, record: CorpusRecord): RecordedStream | null {
  const upstreamModel = record.model ?? 'unnamed';
  const url = new URL(api.pathOf(record, upstreamModel), 'http://gateway');
  const body = Buffer.from(JSON.stringify(api.bodyOf(record, upstreamModel)));
  const request = dialect.readRequest({ path: url.pathname, query: url.searchParams, body });
  if (request.kind === 'refused') return null;
  const { content_type: contentType, body: answer } = record.response;
  const isArray = answer.startsWith('[');
  const events = answer.split(/(?<=\r?\n\r?\n)/);
  return {
    request,
    quirks: quirksOf(record.provider),
    contentType,
    upstreamModel,
    chunks: isArray ? chunksOf(record) : events.map((event) => Buffer.from(event)),
    payloads: isArray
      ? (JSON.parse(answer) as object[]).map((one) => JSON.stringify(one))
      : payloadsOf(events),
  };
}

/** Those that are JSON. */
function payloadsOf(events: readonly string[]): readonly string[] {
  return events
    .map((event) => /^data: ?(\{.*)$/m.exec(event)?.[1])
    .filter((payload): payload is string => payload !== undefined && isJson(payload));
}

function isJson(payload: string): boolean {
  try {
    JSON.parse(payload);
    return true;
  } catch {
    return false;
  }
}
