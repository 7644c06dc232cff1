import { afterAll, describe, expect, test } from 'vitest';
import { type CorpusRecord, chunksOf, readCorpus, withoutUsageChunks } from '../../../test/support/corpus.ts';
import { openaiCompletionsApi } from '../../../test/support/corpus-apis/openai-completions.ts';
import { quirksOf } from '../../domain/quirks.ts';
import { inputTokens, outputTokens } from '../../domain/usage.ts';
import { createThreadedTokenizer } from '../../tokenizer/threaded-tokenizer.ts';
import type { AnswerReading, DialectRequest, StreamReading } from '../dialect.ts';
import { openaiCompletions } from './index.ts';

const records = readCorpus(openaiCompletionsApi.api);
const answered = records.filter(({ response }) => response.status === 200);

function requestOf(record: CorpusRecord, asksUsage = false): DialectRequest {
  const recorded = openaiCompletionsApi.bodyOf(record, record.model ?? 'a-model');
  const body = { ...recorded, ...(record.stream ? { stream_options: { include_usage: asksUsage } } : {}) };
  const call = { path: '/v1/completions', query: new URLSearchParams() };
  const request = openaiCompletions.readRequest({ ...call, body: Buffer.from(JSON.stringify(body)) });
  if (request.kind === 'refused') throw new Error(`${record.id}: ${request.message}`);
  return request;
}

function follow(record: CorpusRecord, asksUsage: boolean): { bytes: string; reading: StreamReading } {
  const request = requestOf(record, asksUsage);
  const context = { quirks: quirksOf(record.provider), request, contentType: 'text/event-stream' };
  const follower = openaiCompletions.followStream(context);
  const sent = chunksOf(record).flatMap((chunk) => follower.push(chunk));
  const bytes = Buffer.concat([...sent, ...follower.end()]).toString();
  return { bytes, reading: follower.reading() };
}

function read(record: CorpusRecord): AnswerReading {
  if (record.stream) return follow(record, true).reading;
  const context = { quirks: quirksOf(record.provider), request: requestOf(record) };
  return openaiCompletions.readAnswer(Buffer.from(record.response.body), context);
}

describe('every recorded answer', () => {
  test("comes to the provider's own total, in and out; without usage its text is there to be counted", () => {
    let counted = 0;
    for (const record of answered) {
      const { usage, generated } = read(record);
      const sums = usage === null ? null : { input: inputTokens(usage), output: outputTokens(usage) };
      expect(sums, record.id).toEqual(openaiCompletionsApi.expectedTokens(record));
      expect(generated.texts.join('').length, record.id).toBeGreaterThan(1);
      if (sums === null) counted++;
    }
    console.info(
      `corpus: ${records.length} completions run, ${answered.length - counted} exact, ${counted} to be counted, ` +
        `${records.length - answered.length} refused by upstream`,
    );
  });

  test('that is a stream reaches the client byte for byte, but for usage that it did not ask for', () => {
    for (const record of records.filter(({ stream }) => stream)) {
      const { body } = record.response;
      expect(follow(record, true).bytes, record.id).toBe(body);
      expect(follow(record, false).bytes, record.id).toBe(withoutUsageChunks(body));
    }
  });

  test('has a request whose members are all known', () => {
    for (const record of records) expect(requestOf(record).unknownMember, record.id).toBeNull();
  });

  test('has an estimate of its input that is never below 95 % of what the provider counted', () => {
    for (const record of answered.filter(({ request, usage }) => request !== null && usage !== null)) {
      const ratio = requestOf(record).estimatedInputTokens / Number(record.usage?.prompt_tokens);
      expect(ratio, record.id).toBeGreaterThanOrEqual(0.95);
    }
  });
});

describe('where a provider reports no usage', () => {
  const tokenizer = createThreadedTokenizer();
  afterAll(() => tokenizer.close());

  test("our count of OpenAI's answers is within two tokens of theirs, and of its prompts theirs", async () => {
    const whole = answered.filter(({ provider, usage }) => provider === 'openai' && usage !== null);
    for (const record of whole) {
      // Asked for as davinci-002, a model answers under another name.
      const model = String(record.request?.model ?? record.model);
      const completion = await tokenizer.count(model, read(record).generated);
      expect(Math.abs(completion - Number(record.usage?.completion_tokens)), record.id).toBeLessThanOrEqual(
        2,
      );
      if (record.request === null) continue;
      const prompt = await tokenizer.count(model, requestOf(record).prompt());
      expect(prompt, record.id).toBe(record.usage?.prompt_tokens);
    }
  });
});
