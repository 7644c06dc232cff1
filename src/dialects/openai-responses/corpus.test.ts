import { afterAll, describe, expect, test } from 'vitest';
import { type CorpusRecord, chunksOf, readCorpus } from '../../../test/support/corpus.ts';
import { openaiResponsesApi, responseUsage } from '../../../test/support/corpus-apis/openai-responses.ts';
import { quirksOf } from '../../domain/quirks.ts';
import { inputTokens, outputTokens, toolUnits, type Usage } from '../../domain/usage.ts';
import { createThreadedTokenizer } from '../../tokenizer/threaded-tokenizer.ts';
import type { AnswerReading, DialectRequest } from '../dialect.ts';
import { openaiResponses } from './index.ts';

const records = readCorpus('responses');
const isHere = records.length > 0;
const streams = records.filter(({ stream }) => stream);

function report(figures: string): void {
  console.info(`corpus: ${figures}`);
}

function requestOf(record: CorpusRecord): DialectRequest {
  const body = Buffer.from(
    JSON.stringify(openaiResponsesApi.bodyOf(record, String(record.request?.model ?? record.model ?? 'm'))),
  );
  const request = openaiResponses.readRequest({ path: '/v1/responses', query: new URLSearchParams(), body });
  if (request.kind === 'refused') throw new Error(`${record.id}: ${request.message}`);
  return request;
}

function follow(record: CorpusRecord, chunks = chunksOf(record)) {
  const { provider, response } = record;
  const context = {
    quirks: quirksOf(provider),
    request: requestOf(record),
    contentType: response.content_type,
  };
  const follower = openaiResponses.followStream(context);
  const sent = chunks.flatMap((chunk) => follower.push(chunk));
  const held = follower.end();
  return { sent: Buffer.concat(sent).toString(), held: Buffer.concat(held).toString(), follower };
}

function read(record: CorpusRecord): AnswerReading {
  const { provider, stream, response } = record;
  if (stream) return follow(record).follower.reading();
  return openaiResponses.readAnswer(Buffer.from(response.body), {
    quirks: quirksOf(provider),
    request: requestOf(record),
  });
}

const sumsOf = (usage: Usage | null) =>
  usage === null ? null : { input: inputTokens(usage), output: outputTokens(usage) };

describe('every recorded answer', () => {
  test("comes to the provider's own total, in and out", () => {
    const differing = records.filter(
      (record) =>
        JSON.stringify(sumsOf(read(record).usage)) !==
        JSON.stringify(openaiResponsesApi.expectedTokens(record)),
    );
    const silent = records.filter((record) => openaiResponsesApi.expectedTokens(record) === null);
    report(
      `${records.length} responses run, ${records.length - differing.length} exact ` +
        `(${silent.length} of them without usage that could be true)`,
    );
    expect(differing.map(({ id }) => id)).toEqual([]);
  });

  test('has classes that say what the provider says of reasoning, which is within its output', () => {
    for (const record of records) {
      const reported = responseUsage(record);
      const { usage } = read(record);
      if (reported === null || usage === null) continue;
      expect(usage.reasoning, record.id).toBe(reported.output_tokens_details?.reasoning_tokens);
      expect((usage.output ?? 0) + (usage.reasoning ?? 0), record.id).toBe(reported.output_tokens);
    }
  });

  test('with all-zero usage beside output is left to be counted', () => {
    const zero = records.filter((record) => responseUsage(record)?.total_tokens === 0);
    for (const record of zero) {
      const { usage, generated, reported } = read(record);
      expect(usage, record.id).toBeNull();
      expect(reported, record.id).not.toBeNull();
      expect(generated.texts.join(''), record.id).not.toBe('');
    }
    report(`${zero.length} responses with all-zero usage are counted`);
    if (isHere) expect(zero.length).toBeGreaterThan(0);
  });

  test('of xAI has as many units of tools as it says that it used, and of its price what it says', () => {
    for (const record of records.filter(({ provider }) => provider === 'xai')) {
      const { usage, statedCost, reported } = read(record);
      const units = toolUnits.reduce((sum, unit) => sum + (usage?.[unit] ?? 0), 0);
      expect(units, record.id).toBe(responseUsage(record)?.num_server_side_tools_used);
      expect(statedCost === null, record.id).toBe(reported?.cost_in_usd_ticks === undefined);
    }
  });

  test('has the tokens of its images as those of their model, beside the total', () => {
    const withImages = records.filter((record) => read(record).otherModels.length > 0);
    for (const { id } of withImages)
      expect(openaiResponsesApi.exceptions.get(id), id).toContain('another model');
    report(`${withImages.length} responses have images, excepted from the provider's total`);
    if (isHere) expect(withImages).toHaveLength(3);
  });

  test('has a name to go on from, but for errors and for what was not to be stored', () => {
    for (const record of records) {
      const isStored = !/"store": ?false/.test(record.response.body);
      const { answerId } = read(record);
      expect(answerId === null, record.id).toBe(record.response.status !== 200 || !isStored);
    }
  });
});

describe('every recorded stream', () => {
  test('reaches the client byte for byte, and all but its closing event before the commit', () => {
    for (const record of streams) {
      const { sent, held, follower } = follow(record);
      expect(sent + held, record.id).toBe(record.response.body);
      expect(follower.closed, record.id).toBe(true);
      expect(held, record.id).toMatch(/"type": ?"response\.(completed|incomplete)"/);
      expect(sent, record.id).not.toMatch(/"type": ?"response\.(completed|incomplete)"/);
    }
  });

  test('is metered alike however it was cut', () => {
    for (const record of streams) {
      const bytes = Buffer.from(record.response.body);
      const whole = follow(record, [bytes]).follower.reading();
      expect(follow(record).follower.reading(), record.id).toEqual(whole);
      const size = Math.max(1, Math.floor(bytes.length / 1_000));
      const even = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      expect(follow(record, even).follower.reading(), record.id).toEqual(whole);
    }
  });

  test('has as much text from its deltas as from its whole answer, and the same', () => {
    const differing = streams.filter((record) => {
      const upToTheEnd = follow(record, [Buffer.from(follow(record).sent)]).follower.reading();
      return upToTheEnd.generated.texts.join('\n') !== read(record).generated.texts.join('\n');
    });
    // Two were shortened by who recorded them, so that their deltas say less than their ends.
    expect(differing.map(({ id }) => id).filter((id) => !/shell-container-1|codex-phase-1/.test(id))).toEqual(
      [],
    );
  });
});

/** Models whose visible text is all that they generated, asked in text and answering in it. */
function isPlain({ provider, model, request, response, usage }: CorpusRecord): boolean {
  if (provider !== 'openai' || usage === null || usage.total_tokens === 0 || request === null) return false;
  if (!/^gpt-4/.test(model ?? '') || /"tools": ?\[\s*\{/.test(response.body)) return false;
  // In March 2025, a prompt had some twenty tokens that nobody had written.
  return request.context_management === undefined && !/"created_at": ?174[23]/.test(response.body);
}

const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`;

describe('where a provider reports no usage', () => {
  const tokenizer = createThreadedTokenizer();
  afterAll(() => tokenizer.close());

  test("our count of OpenAI's plain text is within one token", async () => {
    const errors = { prompt: [] as number[], answer: [] as number[] };
    for (const record of records.filter(isPlain)) {
      const usage = responseUsage(record)!;
      const answer = await tokenizer.count(record.model ?? '', read(record).generated);
      const prompt = await tokenizer.count(record.model ?? '', requestOf(record).prompt());
      errors.answer.push(usage.output_tokens - answer);
      if (record.request?.text === undefined) errors.prompt.push(usage.input_tokens - prompt);
    }
    for (const [side, list] of Object.entries(errors)) {
      const exact = list.filter((error) => error === 0).length;
      report(
        `${side} of ${list.length} plain responses of OpenAI counted without usage: ${percent(exact, list.length)} exact, ` +
          `off by ${Math.max(0, ...list.map(Math.abs))} at most`,
      );
      expect(list.filter((error) => Math.abs(error) > 1)).toEqual([]);
    }
  });
});

/** Whether the provider puts more into the prompt than the request shows: the results of tools that it runs. */
function fetches({ request }: CorpusRecord): boolean {
  return /"type":"(web_search|x_search|code_interpreter|mcp)/.test(JSON.stringify(request?.tools ?? []));
}

describe('the estimate of the input', () => {
  const measured = records
    .filter(({ request }) => request !== null)
    .flatMap((record) => {
      const input = responseUsage(record)?.input_tokens ?? 0;
      const { estimatedInputTokens: estimate, units } = requestOf(record);
      return input === 0 ? [] : [{ record, input, estimate, units }];
    });

  test('is never below 95 % of the prompt that the provider counted, where all of it is in the request', () => {
    const ratios = measured
      .filter(({ record }) => !fetches(record))
      .map(({ record: { id, request }, input, estimate }) => ({
        id,
        input,
        ratio: estimate / input,
        isText: !/"(tools|encrypted_content)":/.test(JSON.stringify(request)),
      }))
      .sort((a, b) => a.ratio - b.ratio);
    const at = (share: number) => ratios[Math.floor(share * (ratios.length - 1))]?.ratio.toFixed(2);
    report(
      `estimate / prompt of ${ratios.length} responses: least ${at(0)}, median ${at(0.5)}, p90 ${at(0.9)}, most ${at(1)}`,
    );
    expect(ratios.filter(({ ratio }) => ratio < 0.95)).toEqual([]);
    for (const { id, input, ratio, isText } of ratios) {
      // The hidden prompt of grok-4 is taken for that of its successors, which is shorter.
      const isUsual = isText && !id.startsWith('xai');
      if (input >= 200) expect(ratio, id).toBeLessThanOrEqual(isUsual ? 1.6 : 4.7);
    }
  });

  test('covers what tools of the provider fetch together with the units of the hold', () => {
    for (const { record, input, estimate, units } of measured.filter((one) => fetches(one.record))) {
      const held = estimate + (units.input ?? 0) + (units.cache_read ?? 0);
      expect(held, record.id).toBeGreaterThanOrEqual(input);
      const used = read(record).usage ?? {};
      for (const unit of toolUnits)
        expect(units[unit] ?? 0, record.id).toBeGreaterThanOrEqual(used[unit] ?? 0);
    }
  });
});
