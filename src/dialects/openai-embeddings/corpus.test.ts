import { afterAll, describe, expect, test } from 'vitest';
import { type CorpusRecord, readCorpus } from '../../../test/support/corpus.ts';
import { openaiEmbeddingsApi } from '../../../test/support/corpus-apis/openai-embeddings.ts';
import { quirksOf } from '../../domain/quirks.ts';
import { inputTokens, outputTokens } from '../../domain/usage.ts';
import { createThreadedTokenizer } from '../../tokenizer/threaded-tokenizer.ts';
import type { AnswerReading, DialectRequest } from '../dialect.ts';
import { openaiEmbeddings } from './index.ts';

const records = readCorpus(openaiEmbeddingsApi.api);
const answered = records.filter(({ response }) => response.status === 200);

function requestOf(record: CorpusRecord): DialectRequest {
  const body = openaiEmbeddingsApi.bodyOf(record, record.model ?? 'a-model');
  const call = { path: '/v1/embeddings', query: new URLSearchParams() };
  const request = openaiEmbeddings.readRequest({ ...call, body: Buffer.from(JSON.stringify(body)) });
  if (request.kind === 'refused') throw new Error(`${record.id}: ${request.message}`);
  return request;
}

function read(record: CorpusRecord): AnswerReading {
  const context = { quirks: quirksOf(record.provider), request: requestOf(record) };
  return openaiEmbeddings.readAnswer(Buffer.from(record.response.body), context);
}

describe('every recorded answer with embeddings', () => {
  test("comes to the provider's own total, and where it has none is left to be counted", () => {
    let counted = 0;
    for (const record of answered) {
      const { usage, error } = read(record);
      const sums = usage === null ? null : { input: inputTokens(usage), output: outputTokens(usage) };
      expect(sums, record.id).toEqual(openaiEmbeddingsApi.expectedTokens(record));
      expect(error, record.id).toBeNull();
      if (sums === null) counted++;
    }
    console.info(
      `corpus: ${records.length} embeddings run, ${answered.length - counted} exact, ${counted} to be counted, ` +
        `${records.length - answered.length} refused by upstream`,
    );
  });

  test('has an estimate of its input that is never below 95 % of what the provider counted', () => {
    const ratios = answered.flatMap((record) => {
      const expected = openaiEmbeddingsApi.expectedTokens(record);
      return expected === null ? [] : [requestOf(record).estimatedInputTokens / expected.input];
    });
    if (ratios.length > 0) {
      console.info(
        `corpus: estimate / input of ${ratios.length} embeddings: least ${Math.min(...ratios).toFixed(2)}`,
      );
    }
    for (const ratio of ratios) expect(ratio).toBeGreaterThanOrEqual(0.95);
  });
});

describe('where a provider reports no usage', () => {
  const tokenizer = createThreadedTokenizer();
  afterAll(() => tokenizer.close());

  test("our count of OpenAI's inputs is theirs", async () => {
    for (const record of answered.filter(({ provider }) => provider === 'openai')) {
      const count = await tokenizer.count(record.model ?? '', requestOf(record).prompt());
      expect(count, record.id).toBe(openaiEmbeddingsApi.expectedTokens(record)?.input);
    }
  });
});
