import { afterAll, describe, expect, test } from 'vitest';
import { type CorpusRecord, chunksOf, readCorpus, withoutUsageChunks } from '../../../test/support/corpus.ts';
import { openaiChatApi } from '../../../test/support/corpus-apis/openai-chat.ts';
import { quirksOf } from '../../domain/quirks.ts';
import { inputTokens, outputTokens } from '../../domain/usage.ts';
import { createThreadedTokenizer } from '../../tokenizer/threaded-tokenizer.ts';
import type { AnswerReading, DialectRequest, StreamReading } from '../dialect.ts';
import { readAnswer } from './answer.ts';
import { estimateInputTokens } from './estimate.ts';
import { openaiChat } from './index.ts';
import { countablePrompt } from './prompt.ts';

const { exceptions, expectedTokens } = openaiChatApi;
const records = readCorpus(openaiChatApi.api);
const isHere = records.length > 0;

function report(figures: string): void {
  console.info(`corpus: ${figures}`);
}

function requestOf(record: CorpusRecord, asksUsage: boolean): DialectRequest {
  const recorded = openaiChatApi.bodyOf(record, 'a-model');
  const body = { ...recorded, ...(record.stream ? { stream_options: { include_usage: asksUsage } } : {}) };
  const call = { path: '/v1/chat/completions', query: new URLSearchParams() };
  const request = openaiChat.readRequest({ ...call, body: Buffer.from(JSON.stringify(body)) });
  if (request.kind === 'refused') throw new Error(`${record.id}: ${request.message}`);
  return request;
}

interface Followed {
  readonly bytes: string;
  readonly reading: StreamReading;
}

function follow(record: CorpusRecord, asksUsage: boolean): Followed {
  const follower = openaiChat.followStream({
    quirks: quirksOf(record.provider),
    request: requestOf(record, asksUsage),
    contentType: record.response.content_type,
  });
  const sent = chunksOf(record).flatMap((chunk) => follower.push(chunk));
  const bytes = Buffer.concat([...sent, ...follower.end()]);
  return { bytes: bytes.toString(), reading: follower.reading() };
}

function read(record: CorpusRecord): AnswerReading {
  const { provider, stream, response } = record;
  if (stream) return follow(record, true).reading;
  return readAnswer(Buffer.from(response.body), { quirks: quirksOf(provider) });
}

test('every member of every recorded request is known', () => {
  for (const record of records) expect(requestOf(record, true).unknownMember, record.id).toBeNull();
});

describe('every recorded answer', () => {
  test("comes to the provider's own total, in and out, but for the exceptions that were reviewed", () => {
    const differing = records.filter((record) => {
      const { usage } = read(record);
      const sums = usage === null ? null : { input: inputTokens(usage), output: outputTokens(usage) };
      return JSON.stringify(sums) !== JSON.stringify(expectedTokens(record));
    });
    const excepted = differing.filter(({ id }) => exceptions.has(id));
    const silent = records.filter(({ usage }) => usage === null);
    report(
      `${records.length} records run, ${records.length - differing.length} exact ` +
        `(${silent.length} of them without usage), ${excepted.length} excepted`,
    );
    expect(differing.map(({ id }) => id).filter((id) => !exceptions.has(id))).toEqual([]);
    if (isHere) expect(excepted).toHaveLength(exceptions.size);
  });

  test('has classes that say what the provider says of reasoning, as far as the completion holds it', () => {
    for (const record of records) {
      const {
        completion_tokens: completion = 0,
        completion_tokens_details: details,
        total_tokens: total = 0,
        prompt_tokens: prompt = 0,
      } = record.usage ?? {};
      const reported = details?.reasoning_tokens;
      if (reported === undefined || reported === null) continue;
      const isBeside = total === prompt + completion + reported;
      expect(read(record).usage?.reasoning, record.id).toBe(
        isBeside ? reported : Math.min(reported, completion),
      );
    }
  });

  test('that is a stream reaches a client who asked for usage byte for byte', () => {
    for (const record of records.filter(({ stream }) => stream)) {
      expect(follow(record, true).bytes, record.id).toBe(record.response.body);
    }
  });

  test('that is a stream reaches a client who did not ask without the chunks that only carry usage', () => {
    let kept = 0;
    for (const record of records.filter(({ stream }) => stream)) {
      const { body } = record.response;
      const wanted = withoutUsageChunks(body);
      if (wanted !== body) kept++;
      expect(follow(record, false).bytes, record.id).toBe(wanted);
    }
    if (isHere) expect(kept).toBeGreaterThan(50);
  });

  test('is metered alike whether it was cut or not', () => {
    for (const record of records.filter(({ stream }) => stream)) {
      const whole = follow({ ...record, chunk_sizes: [Number.MAX_SAFE_INTEGER] }, true);
      expect(follow(record, true).reading, record.id).toEqual(whole.reading);
    }
  });
});

/** The same answer from a provider that reports no usage. */
function withoutUsage(record: CorpusRecord): CorpusRecord {
  const strip = (json: string) => {
    const { usage: _, x_groq: __, ...others } = JSON.parse(json);
    return JSON.stringify(others);
  };
  const { body } = record.response;
  const stripped = record.stream ? body.replace(/(?<=^data: ?)\{.*/gm, strip) : strip(body);
  return { ...record, chunk_sizes: null, response: { ...record.response, body: stripped } };
}

/** Models whose visible text is all that they generated, asked in plain text and answering in it. */
function isPlain({ request, response, model, usage }: CorpusRecord): boolean {
  if (usage === null || !Array.isArray(request?.messages) || response.status !== 200) return false;
  if (
    (usage.completion_tokens_details?.reasoning_tokens ?? 0) > 0 ||
    /^(o\d|gpt-[5-9])|search|audio/.test(model ?? '')
  )
    return false;
  const { tools, functions, response_format: format, _omitted: omitted, messages } = request;
  const hasMore = [tools, functions, format, omitted].some(
    (member) => member !== undefined && member !== null,
  );
  return (
    !hasMore &&
    !/"(image_url|input_audio|file|tool_calls|function_call)":/.test(
      JSON.stringify(messages) + response.body.replaceAll(/"(tool_calls|function_call)":(null|\[\])/g, ''),
    )
  );
}

const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`;

describe('where a provider reports no usage', () => {
  const tokenizer = createThreadedTokenizer();
  afterAll(() => tokenizer.close());

  test("our count of OpenAI's plain text is within one token for at least 97 % of the records", async () => {
    const errors = { prompt: [] as number[], completion: [] as number[] };
    for (const record of records.filter(
      (candidate) => candidate.provider === 'openai' && isPlain(candidate),
    )) {
      const { usage, generated } = read(withoutUsage(record));
      expect(usage, record.id).toBeNull();
      const model = record.model ?? '';
      const completion = await tokenizer.count(model, generated);
      const prompt = await tokenizer.count(model, countablePrompt(record.request ?? {}));
      errors.completion.push(Number(record.usage?.completion_tokens) - completion);
      errors.prompt.push(Number(record.usage?.prompt_tokens) - prompt);
    }
    for (const [side, list] of Object.entries(errors)) {
      const within = list.filter((error) => Math.abs(error) <= 1).length;
      const exact = list.filter((error) => error === 0).length;
      report(
        `${side} of ${list.length} plain records of OpenAI counted without usage: ` +
          `${percent(exact, list.length)} exact, ${percent(within, list.length)} within one token, off by ${Math.max(0, ...list.map(Math.abs))} at most`,
      );
      if (isHere) expect(within / list.length).toBeGreaterThanOrEqual(0.97);
    }
  });
});

/** A model that searches before it answers: 5,296 tokens of prompt for a question of six words. */
const searching = 'groq-chat-completions-json-compound-groq-model-web-search-tool-2895acea';

describe('the estimate of the input', () => {
  test('is never below 95 % of the prompt that the provider counted, where all of it is in the request', () => {
    const ratios = records
      .filter((record) => record.id !== searching && isPlain(record))
      .flatMap((record) => {
        const { usage } = read(record);
        const input = usage === null ? 0 : inputTokens(usage);
        const model = String(record.request?.model ?? record.model);
        const estimate = estimateInputTokens(record.request ?? {}, model);
        // Ollama once reported no prompt at all, which nothing can be compared with.
        return input === 0 ? [] : [{ id: record.id, input, ratio: estimate / input }];
      })
      .sort((a, b) => a.ratio - b.ratio);
    const at = (share: number) => ratios[Math.floor(share * (ratios.length - 1))]?.ratio.toFixed(2);
    const long = ratios.filter(({ input }) => input >= 200);
    report(
      `estimate / prompt of ${ratios.length} plain records: least ${at(0)}, median ${at(0.5)}, p90 ${at(0.9)}, most ${at(1)}; ` +
        `of the ${long.length} from 200 tokens on at most ${Math.max(0, ...long.map(({ ratio }) => ratio)).toFixed(2)}`,
    );
    expect(ratios.filter(({ ratio }) => ratio < 0.95)).toEqual([]);
    for (const { id, ratio } of long) expect(ratio, id).toBeLessThanOrEqual(1.5);
  });
});
