import { afterAll, describe, expect, test } from 'vitest';
import { type CorpusRecord, chunksOf, readCorpus } from '../../../test/support/corpus.ts';
import {
  anthropicCountTokensApi,
  anthropicMessagesApi,
  countersOf,
  messageCounters,
} from '../../../test/support/corpus-apis/anthropic.ts';
import { quirksOf } from '../../domain/quirks.ts';
import { addUsage, inputTokens, outputTokens, type Usage } from '../../domain/usage.ts';
import { createThreadedTokenizer } from '../../tokenizer/threaded-tokenizer.ts';
import type { AnswerReading, ClientCall, Dialect, DialectRequest } from '../dialect.ts';
import { anthropicCountTokens, anthropicMessages } from './index.ts';

const records = readCorpus('messages');
const counts = readCorpus('count_tokens');
const isHere = records.length > 0;

function report(figures: string): void {
  console.info(`corpus: ${figures}`);
}

function callOf(path: string, body: unknown): ClientCall {
  return { path, query: new URLSearchParams(), body: Buffer.from(JSON.stringify(body)) };
}

/** Under the name of the recorded model, which decides how its tokens are estimated. */
function requestOf(record: CorpusRecord, dialect: Dialect = anthropicMessages): DialectRequest {
  const api = dialect === anthropicMessages ? anthropicMessagesApi : anthropicCountTokensApi;
  const model = record.model ?? 'claude';
  const request = dialect.readRequest(callOf(api.pathOf(record, model), api.bodyOf(record, model)));
  if (request.kind === 'refused') throw new Error(`${record.id}: ${request.message}`);
  return request;
}

function contextOf(record: CorpusRecord) {
  const contentType = record.response.content_type;
  return { quirks: quirksOf(record.provider), request: requestOf(record), contentType };
}

function follow(record: CorpusRecord) {
  const follower = anthropicMessages.followStream(contextOf(record));
  const sent = chunksOf(record).flatMap((chunk) => follower.push(chunk));
  const bytes = Buffer.concat([...sent, ...follower.end()]).toString();
  return { bytes, reading: follower.reading(), closed: follower.closed };
}

function read(record: CorpusRecord): AnswerReading {
  const { stream, response } = record;
  if (stream) return follow(record).reading;
  return anthropicMessages.readAnswer(Buffer.from(response.body), contextOf(record));
}

/** Of all models together. */
function totalOf({ usage, otherModels }: AnswerReading): Usage | null {
  return usage === null ? null : otherModels.reduce((sum, other) => addUsage(sum, other.usage), usage);
}

const streams = records.filter(({ stream }) => stream);

describe('every recorded answer', () => {
  test("comes to the provider's own counters, in and out, those of its iterations with them", () => {
    const differing = records.filter((record) => {
      const usage = totalOf(read(record));
      const sums = usage === null ? null : { input: inputTokens(usage), output: outputTokens(usage) };
      return JSON.stringify(sums) !== JSON.stringify(anthropicMessagesApi.expectedTokens(record));
    });
    const silent = records.filter(({ usage }) => usage === null);
    report(
      `${records.length} messages run, ${records.length - differing.length} exact ` +
        `(${silent.length} of them errors without usage)`,
    );
    expect(differing.map(({ id }) => id)).toEqual([]);
  });

  test('has the very classes of its counters', () => {
    for (const record of records) {
      const counters = messageCounters(record);
      const usage = totalOf(read(record));
      if (counters === null || usage === null) continue;
      const all = countersOf(counters);
      const sum = (name: 'input_tokens' | 'cache_read_input_tokens' | 'cache_creation_input_tokens') =>
        all.reduce((total, one) => total + (one[name] ?? 0), 0);
      const {
        input,
        cache_read = 0,
        cache_write_5m = 0,
        cache_write_1h = 0,
        reasoning = 0,
        web_search = 0,
      } = usage;
      expect([input, cache_read, cache_write_5m + cache_write_1h], record.id).toEqual([
        sum('input_tokens'),
        sum('cache_read_input_tokens'),
        sum('cache_creation_input_tokens'),
      ]);
      expect(reasoning, record.id).toBe(counters.output_tokens_details?.thinking_tokens ?? 0);
      expect(web_search, record.id).toBe(counters.server_tool_use?.web_search_requests ?? 0);
    }
  });

  test('names the other models that worked on it, with what they used', () => {
    for (const record of records) {
      const advice = (messageCounters(record)?.iterations ?? []).filter(
        ({ type }) => type === 'advisor_message',
      );
      const { otherModels } = read(record);
      expect(
        otherModels.map(({ model, usage }) => [model, usage.input, usage.output]),
        record.id,
      ).toEqual(advice.map(({ model, input_tokens, output_tokens }) => [model, input_tokens, output_tokens]));
    }
  });

  test('that is a stream reaches the client byte for byte, and is closed by its last event', () => {
    for (const record of streams) {
      const { bytes, closed, reading } = follow(record);
      expect(bytes, record.id).toBe(record.response.body);
      expect([closed, reading.begun, reading.usageIsFinal], record.id).toEqual([true, true, true]);
    }
  });

  test('is metered alike whether it was cut or not', () => {
    for (const record of streams) {
      const whole = follow({ ...record, chunk_sizes: [Number.MAX_SAFE_INTEGER] });
      expect(follow(record).reading, record.id).toEqual(whole.reading);
    }
  });

  test('that is a stream has the input of its start wherever it breaks off', () => {
    for (const record of streams) {
      const events = record.response.body.split(/(?<=\n\n|\r\n\r\n)/);
      const until = events.findIndex((event) => event.includes('message_delta'));
      const body = events.slice(0, until).join('');
      const { usage } = follow({ ...record, response: { ...record.response, body } }).reading;
      expect(inputTokens(usage ?? {}), record.id).toBeGreaterThan(0);
    }
  });

  test('of the counting API is free, and its request goes where the client meant it to', () => {
    for (const record of counts) {
      const request = requestOf(record, anthropicCountTokens);
      expect(request.isFree, record.id).toBe(true);
      const { path } = request.callFor({
        model: 'm',
        quirks: quirksOf(record.provider),
        maxOutputTokens: null,
      });
      expect(path).toBe('/v1/messages/count_tokens');
    }
  });
});

/** A recording that its project edited: "Hello!" with 100 input tokens, 5 written to the cache and 2 read from it. */
const edited = 'anthropic-messages-json-claude-3-5-haiku-2024102-testtokencounts-test-anthropic-87ed6468';
const fetching = /"type": ?"(web_search|web_fetch|advisor|code_execution|tool_search)_/;
const isFetching = ({ request }: CorpusRecord) => fetching.test(JSON.stringify(request?.tools ?? []));

/** Whether all of the prompt is in the request, and all of it is text. */
function isWhole(record: CorpusRecord): boolean {
  const { request, usage, response, provider } = record;
  if (request === null || usage === null || response.status !== 200 || provider === 'bedrock') return false;
  return !isFetching(record) && !/"type": ?"(image|document)"/.test(JSON.stringify(request.messages));
}

describe('where a provider reports no usage', () => {
  const tokenizer = createThreadedTokenizer();
  afterAll(() => tokenizer.close());

  test.each(['input', 'output'] as const)(
    'our count of the %s is close to what Claude counts, and not above it: what is broken off costs no more than the whole',
    async (side) => {
      const counted: { id: string; tokens: number; off: number }[] = [];
      for (const record of records.filter((one) => isWhole(one) && one.id !== edited)) {
        const expected = anthropicMessagesApi.expectedTokens(record);
        if (expected === null) continue;
        const countable = side === 'input' ? requestOf(record).prompt() : read(record).generated;
        const off = (await tokenizer.count(record.model ?? '', countable)) - expected[side];
        counted.push({ id: record.id, tokens: expected[side], off });
      }
      const short = -counted.reduce((total, { off }) => total + off, 0);
      const share = short / counted.reduce((total, { tokens }) => total + tokens, 0);
      report(
        `${side} of ${counted.length} records counted by us: ${(100 * share).toFixed(1)} % below the provider's in all`,
      );
      for (const { id, tokens, off } of counted)
        expect(off, id).toBeLessThanOrEqual(Math.max(3, 0.03 * tokens));
      if (isHere) expect(share).toBeLessThan(0.2);
    },
  );
});

describe('the estimate of the input', () => {
  test('is never below 95 % of the prompt that the provider counted, where all of it is in the request', () => {
    const ratios = [...records, ...counts]
      .filter((record) => isWhole(record) && record.id !== edited)
      .map((record) => {
        const usage = messageCounters(record);
        const input =
          (usage?.input_tokens ?? 0) +
          (usage?.cache_creation_input_tokens ?? 0) +
          (usage?.cache_read_input_tokens ?? 0);
        const dialect = record.response.body.startsWith('{"input_tokens"')
          ? anthropicCountTokens
          : anthropicMessages;
        const ratio = requestOf(record, dialect).estimatedInputTokens / input;
        return { id: record.id, input, ratio };
      })
      .sort((a, b) => a.ratio - b.ratio);
    const long = ratios.filter(({ input }) => input >= 200);
    const at = (share: number, of = ratios) => of[Math.floor(share * (of.length - 1))]?.ratio.toFixed(2);
    report(
      `estimate / prompt of ${ratios.length} records: least ${at(0)}, median ${at(0.5)}, p90 ${at(0.9)}, most ${at(1)}; ` +
        `of the ${long.length} from 200 tokens on median ${at(0.5, long)}, p90 ${at(0.9, long)}, most ${at(1, long)}`,
    );
    expect(ratios.filter(({ ratio }) => ratio < 0.95)).toEqual([]);
    // Beyond twice: two system prompts of one word a thousand times over, which no vocabulary was fitted to.
    for (const { id, ratio } of long) expect(ratio, id).toBeLessThanOrEqual(4);
  });

  test('with a tool that fetches covers what one use of it brought, within a third', () => {
    for (const record of records.filter((one) => one.request !== null && isFetching(one))) {
      const uses = messageCounters(record)?.server_tool_use?.web_search_requests ?? 0;
      const usage = totalOf(read(record)) ?? {};
      const { estimatedInputTokens: estimate, units } = requestOf(record);
      if (uses > 0) expect(estimate / inputTokens(usage), record.id).toBeGreaterThan(0.67);
      expect(units.web_search ?? 0, record.id).toBeGreaterThanOrEqual(uses);
    }
  });
});
