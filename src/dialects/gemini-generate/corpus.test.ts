import { describe, expect, test } from 'vitest';
import { type CorpusRecord, chunksOf, readCorpus } from '../../../test/support/corpus.ts';
import type { CorpusApi } from '../../../test/support/corpus-api.ts';
import {
  geminiCountTokensApi,
  geminiGenerateApi,
  geminiStreamApi,
} from '../../../test/support/corpus-apis/gemini.ts';
import { quirksOf } from '../../domain/quirks.ts';
import { inputTokens, outputTokens } from '../../domain/usage.ts';
import type { AnswerReading, DialectRequest } from '../dialect.ts';
import { geminiGenerate } from './index.ts';

const answers = readCorpus('generateContent');
const streams = readCorpus('streamGenerateContent');
const counts = readCorpus('countTokens');
const isHere = answers.length > 0;

const exchanges = [
  ...answers.map((record) => ({ record, api: geminiGenerateApi })),
  ...streams.map((record) => ({ record, api: geminiStreamApi })),
];

/** What recorders changed in it, or the provider refused, no gateway may be asked to repeat. */
function requestOf(record: CorpusRecord, api: CorpusApi): DialectRequest {
  const model = record.model?.replace(/^models\//, '') ?? 'gemini';
  const [path = '', query = ''] = api.pathOf(record, model).split('?');
  const request = geminiGenerate.readRequest({
    path,
    query: new URLSearchParams(query),
    body: Buffer.from(JSON.stringify(api.bodyOf(record, model))),
  });
  if (request.kind === 'refused') throw new Error(`${record.id}: ${request.message}`);
  return request;
}

function contextOf(record: CorpusRecord, api: CorpusApi) {
  return {
    quirks: quirksOf(record.provider),
    request: requestOf(record, api),
    contentType: record.response.content_type.toLowerCase(),
  };
}

function follow(record: CorpusRecord, chunks: readonly Buffer[]) {
  const follower = geminiGenerate.followStream(contextOf(record, geminiStreamApi));
  const sent = chunks.flatMap((chunk) => follower.push(chunk));
  const heldBack = follower.end();
  return {
    sent,
    heldBack,
    bytes: Buffer.concat([...sent, ...heldBack]),
    follower,
    reading: follower.reading(),
  };
}

function read(record: CorpusRecord, api: CorpusApi): AnswerReading {
  if (record.stream) return follow(record, chunksOf(record)).reading;
  return geminiGenerate.readAnswer(Buffer.from(record.response.body), contextOf(record, api));
}

function report(figures: string): void {
  console.info(`corpus: ${figures}`);
}

describe('every recorded answer', () => {
  test("comes to the provider's own total, in and out", () => {
    const silent: string[] = [];
    for (const { record, api } of exchanges) {
      const { usage } = read(record, api);
      const sums = usage === null ? null : { input: inputTokens(usage), output: outputTokens(usage) };
      expect(sums, record.id).toEqual(api.expectedTokens(record));
      if (sums === null && record.response.status === 200) silent.push(record.id);
    }
    report(
      `${exchanges.length} records run, all exact; 200 without a usable usage: ${silent.length} (${silent.join(', ')})`,
    );
    // One prompt that was blocked before any token was counted, one answer without the prompt's count.
    if (isHere) expect(silent).toHaveLength(2);
  });

  test('has a finish reason, or an error: none of them looks cut short', () => {
    for (const { record, api } of exchanges) {
      const { finishReason, error } = read(record, api);
      if (record.stream) expect(finishReason, record.id).not.toBeNull();
      else expect(error !== null, record.id).toBe(record.response.status !== 200 || api.isVoided(record));
    }
  });

  test('says which of its tokens were audio, cached or thought as the provider does', () => {
    let audio = 0;
    for (const { record, api } of exchanges) {
      const usage = read(record, api).usage ?? {};
      const { thoughtsTokenCount, cachedContentTokenCount, promptTokensDetails } = (record.usage ?? {}) as {
        thoughtsTokenCount?: number;
        cachedContentTokenCount?: number;
        promptTokensDetails?: readonly { modality: unknown; tokenCount: number }[];
      };
      const heard = promptTokensDetails?.find(({ modality }) => modality === 'AUDIO')?.tokenCount;
      if (heard !== undefined) audio++;
      if (api.expectedTokens(record) === null) continue;
      expect(usage.reasoning, record.id).toBe(thoughtsTokenCount);
      expect(sum(usage.input_audio, usage.cache_read_audio), record.id).toBe(heard);
      expect(sum(usage.cache_read, usage.cache_read_audio), record.id).toBe(cachedContentTokenCount);
    }
    if (isHere) expect(audio).toBeGreaterThan(8);
  });
});

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : a + (b ?? 0);
}

describe('every recorded stream', () => {
  test('reaches the client byte for byte, and an array only its end after the commit', () => {
    for (const record of streams) {
      const { bytes, heldBack, follower } = follow(record, chunksOf(record));
      expect(bytes.toString(), record.id).toBe(record.response.body);
      const isArray = record.response.body.startsWith('[');
      expect(follower.closed, record.id).toBe(isArray);
      expect(Buffer.concat(heldBack).toString().trim(), record.id).toBe(isArray ? ']' : '');
    }
  });

  test('is passed on and metered alike however it is cut', () => {
    for (const record of streams) {
      const body = Buffer.from(record.response.body);
      const whole = follow(record, [body]);
      const sizes = body.length < 10_000 ? [1, 7, 1_000] : [97, 4_096];
      for (const size of sizes) {
        const chunks: Buffer[] = [];
        for (let at = 0; at < body.length; at += size) chunks.push(body.subarray(at, at + size));
        const cut = follow(record, chunks);
        expect(cut.reading, `${record.id} in pieces of ${size}`).toEqual(whole.reading);
        expect(cut.bytes.equals(whole.bytes), `${record.id} in pieces of ${size}`).toBe(true);
      }
    }
  });

  test('that ends before its last chunk looks cut short', () => {
    let cut = 0;
    for (const record of streams) {
      const body = Buffer.from(record.response.body);
      const { follower } = follow(record, [body.subarray(0, Math.floor(body.length / 3))]);
      const { finishReason, error } = follower.reading();
      expect([follower.closed, finishReason, error], record.id).toEqual([false, null, null]);
      cut++;
    }
    if (isHere) expect(cut).toBe(39);
  });
});

describe('the estimate of the input', () => {
  /** Prompts that hold more than their request: what tools fetched, and links to pictures, sounds and films. */
  function isWhole({ request, usage }: CorpusRecord): boolean {
    const {
      toolUsePromptTokenCount,
      promptTokensDetails = [],
      promptTokenCount,
    } = (usage ?? {}) as {
      toolUsePromptTokenCount?: number;
      promptTokenCount?: number;
      promptTokensDetails?: readonly { tokenCount: number }[];
    };
    if (request === null || promptTokenCount === undefined || toolUsePromptTokenCount !== undefined)
      return false;
    // Searching that isn't named as tool use leaves a gap between the prompt and its modalities.
    const listed = promptTokensDetails.reduce((all, { tokenCount }) => all + tokenCount, 0);
    return promptTokensDetails.length === 0 || listed === promptTokenCount;
  }

  test('is never below 95 % of the prompt that the provider counted, where all of it is in the request', () => {
    const compared = exchanges
      .filter(({ record }) => isWhole(record))
      .map(({ record, api }) => {
        const input = Number((record.usage as unknown as { promptTokenCount: number }).promptTokenCount);
        const isLinked = /"file_?data"/i.test(JSON.stringify(record.request));
        return { id: record.id, input, isLinked, ratio: requestOf(record, api).estimatedInputTokens / input };
      })
      .sort((a, b) => a.ratio - b.ratio);
    const at = (share: number) => compared[Math.floor(share * (compared.length - 1))]?.ratio.toFixed(2);
    // Nothing tells how long a recording is that is only linked.
    const long = compared.filter(({ input, isLinked }) => input >= 200 && !isLinked);
    report(
      `estimate / prompt of ${compared.length} records: least ${at(0)}, median ${at(0.5)}, p90 ${at(0.9)}, most ${at(1)}; ` +
        `of the ${long.length} from 200 tokens on ${long.map(({ ratio }) => ratio.toFixed(2)).join(', ')}`,
    );
    expect(compared.filter(({ ratio }) => ratio < 0.95)).toEqual([]);
    for (const { id, ratio } of long) expect(ratio, id).toBeLessThanOrEqual(3);
  });
});

test('the hold covers what recorded tools fetched', () => {
  let fetched = 0;
  for (const { record, api } of exchanges) {
    const { toolUsePromptTokenCount: tokens } = (record.usage ?? {}) as { toolUsePromptTokenCount?: number };
    if (record.request === null || tokens === undefined) continue;
    fetched++;
    expect(requestOf(record, api).units.input ?? 0, record.id).toBeGreaterThanOrEqual(tokens);
  }
  if (isHere) expect(fetched).toBeGreaterThan(3);
});

describe('every recorded call to count tokens', () => {
  test('is free, and goes on as it came', () => {
    for (const record of counts) {
      const request = requestOf(record, geminiCountTokensApi);
      expect(request.isFree, record.id).toBe(true);
      const { body, path } = request.callFor({
        model: request.model,
        quirks: quirksOf('gemini'),
        maxOutputTokens: null,
      });
      expect(JSON.parse(body.toString()), record.id).toEqual(record.request);
      expect(path, record.id).toBe(`/v1beta/models/${request.model}:countTokens`);
    }
    if (isHere) expect(counts).toHaveLength(4);
  });
});
