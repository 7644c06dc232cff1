import { countTokens as countCl100k } from 'gpt-tokenizer/encoding/cl100k_base';
import { countTokens as countO200k } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, test } from 'vitest';
import { type CorpusRecord, readCorpus } from '../../test/support/corpus.ts';
import { anthropicMessages } from '../dialects/anthropic-messages/index.ts';
import type {
  AnswerReading,
  ClientCall,
  Dialect,
  DialectRequest,
  StreamReading,
} from '../dialects/dialect.ts';
import { geminiGenerate } from '../dialects/gemini-generate/index.ts';
import { openaiChat } from '../dialects/openai-chat/index.ts';
import { openaiResponses } from '../dialects/openai-responses/index.ts';
import { quirksOf } from '../domain/quirks.ts';
import { outputTokens } from '../domain/usage.ts';
import { encodingNameOf } from './encoding-name.ts';
import { createLearningTokenizer } from './learning-tokenizer.ts';
import type { TextCounter, Tokenizer } from './tokenizer.ts';
import { vocabularyOf } from './vocabulary.ts';

const options = { disallowedSpecial: new Set<string>() };

/** Counts in this thread: a stream is counted at each of its events here. */
const counter: TextCounter = {
  count: async (model, { texts, overhead }) => {
    const count = encodingNameOf(model) === 'cl100k_base' ? countCl100k : countO200k;
    return texts.reduce((sum, text) => sum + count(text, options), overhead);
  },
  close: async () => undefined,
};

function newTokenizer(): Tokenizer {
  return createLearningTokenizer({
    counter,
    store: { load: async () => [], save: async () => undefined },
    known: [],
    onAccuracy: () => undefined,
    onFault: () => undefined,
  });
}

function report(figures: string): void {
  console.info(`corpus: ${figures}`);
}

function requestOf(dialect: Dialect, path: string, body: unknown): DialectRequest {
  const call: ClientCall = { path, query: new URLSearchParams(), body: Buffer.from(JSON.stringify(body)) };
  const request = dialect.readRequest(call);
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

const chatPath = '/v1/chat/completions';
const anyChat = requestOf(openaiChat, chatPath, {
  model: 'm',
  messages: [{ role: 'user', content: 'Hi' }],
  stream: true,
});

function readChat(record: CorpusRecord, body: string): AnswerReading {
  const context = { quirks: quirksOf(record.provider), request: anyChat };
  if (!record.stream) return openaiChat.readAnswer(Buffer.from(body), context);
  const follower = openaiChat.followStream({ ...context, contentType: 'text/event-stream' });
  follower.push(Buffer.from(body));
  follower.end();
  return follower.reading();
}

/** The same answer from a provider that reports no usage. */
function withoutUsage({ stream, response }: CorpusRecord): string {
  const strip = (json: string) => {
    const { usage: _, x_groq: __, ...others } = JSON.parse(json);
    return JSON.stringify(others);
  };
  return stream ? response.body.replace(/(?<=^data: ?)\{.*/gm, strip) : strip(response.body);
}

interface Miss {
  readonly kind: string;
  readonly ours: number;
  readonly theirs: number;
}

/** What a request has beside plain messages. */
function kindOf({ request, response }: CorpusRecord): string {
  const { tools, functions, response_format: format, n } = request ?? {};
  const calls = /"(tool_calls|function_call)": ?[[{]/.test(response.body);
  const kinds = [
    tools === undefined || tools === null ? [] : ['tools'],
    functions === undefined || functions === null ? [] : ['functions'],
    JSON.stringify(format ?? '').includes('json_schema') ? ['schema'] : [],
    calls ? ['calls'] : [],
    typeof n === 'number' && n > 1 ? ['n'] : [],
  ].flat();
  return kinds.join('+') || 'plain';
}

/** Why the request at hand doesn't tell what its prompt came to; null where it does. */
function whyPromptIsUnknown({ request, model }: CorpusRecord): string | null {
  if (!Array.isArray(request?.messages)) return 'the request was not recorded';
  if (request._omitted !== undefined) return 'a part of the request was not recorded';
  const parts = /"type":"(image_url|input_audio|file)"/.exec(JSON.stringify(request.messages));
  if (parts !== null) return `it holds ${parts[1]}`;
  return /search/.test(model ?? '') ? 'the model adds what it searched' : null;
}

function summary(side: string, misses: readonly Miss[]) {
  const off = misses.map(({ ours, theirs }) => Math.abs(ours - theirs));
  const relative = misses.map(({ ours, theirs }) => Math.abs(ours - theirs) / theirs).sort((a, b) => a - b);
  const within = off.filter((tokens) => tokens <= 1).length / misses.length;
  const median = relative[Math.floor(relative.length / 2)] ?? Number.NaN;
  const exact = off.filter((tokens) => tokens === 0).length;
  report(
    `${side} of ${misses.length} answers without usage: ${exact} exact, ${(100 * within).toFixed(1)} % within one token, ` +
      `median relative error ${median}`,
  );
  for (const [kind, list] of Map.groupBy(misses, (miss) => miss.kind)) {
    const differences = list
      .map(({ ours, theirs }) => ours - theirs)
      .filter((difference) => difference !== 0);
    report(`  ${side}, ${kind}: ${list.length} records, off by [${differences.join(', ')}]`);
  }
  return { within, median };
}

describe('OpenAI chat answers without reasoning whose usage is taken away', () => {
  const records = readCorpus('chat.completions').filter(
    ({ provider, usage, response }) =>
      provider === 'openai' &&
      usage !== null &&
      response.status === 200 &&
      (usage.completion_tokens_details?.reasoning_tokens ?? 0) === 0,
  );

  test('are counted within one token for 97 %, and exactly for most', async () => {
    const tokenizer = newTokenizer();
    const misses = { prompt: [] as Miss[], completion: [] as Miss[] };
    const leftOut = new Map<string, number>();
    for (const record of records) {
      const { usage, generated } = readChat(record, withoutUsage(record));
      expect(usage, record.id).toBeNull();
      const model = record.model ?? '';
      const kind = kindOf(record);
      const count = (side: 'input' | 'output', countable: typeof generated) =>
        tokenizer.count(model, { side, countable, isCutOff: false });
      const { completion_tokens: completion, prompt_tokens: prompt } = record.usage ?? (Number.NaN as never);
      misses.completion.push({ kind, ours: await count('output', generated), theirs: completion });
      const reason = whyPromptIsUnknown(record);
      if (reason !== null) leftOut.set(reason, (leftOut.get(reason) ?? 0) + 1);
      else {
        const countable = requestOf(openaiChat, chatPath, { ...record.request, stream: false }).prompt();
        misses.prompt.push({ kind, ours: await count('input', countable), theirs: prompt });
      }
    }
    for (const [reason, times] of leftOut) report(`${times} prompts left out: ${reason}`);
    if (records.length === 0) return;
    for (const [side, list] of Object.entries(misses)) {
      const { within, median } = summary(side, list);
      expect(within, side).toBeGreaterThanOrEqual(0.97);
      expect(median, side).toBe(0);
    }
  });
});

/** Every stream of an API, and what any request of it looks like: how an answer is metered hardly depends on it. */
const apis: readonly (readonly [string, Dialect, string, object])[] = [
  ['chat.completions', openaiChat, chatPath, { messages: [{ role: 'user', content: 'Hi' }] }],
  [
    'messages',
    anthropicMessages,
    '/v1/messages',
    { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 9 },
  ],
  ['responses', openaiResponses, '/v1/responses', { input: 'Hi' }],
  [
    'streamGenerateContent',
    geminiGenerate,
    '/v1beta/models/m:streamGenerateContent',
    { contents: [{ parts: [{ text: 'Hi' }] }] },
  ],
];

interface Followed {
  readonly record: CorpusRecord;
  /** What it would be charged if it broke off behind each event. */
  readonly counts: readonly number[];
  /** What its provider said in the end; null where nothing. */
  readonly theirs: number | null;
}

async function followed(record: CorpusRecord, dialect: Dialect, request: DialectRequest): Promise<Followed> {
  const tokenizer = newTokenizer();
  const model = record.model ?? '';
  const context = {
    quirks: quirksOf(record.provider),
    request,
    contentType: record.response.content_type ?? '',
  };
  const follower = dialect.followStream(context);
  const counts: number[] = [];
  let reading: StreamReading = follower.reading();
  for (const event of record.response.body.split(/(?<=\r?\n\r?\n)/)) {
    follower.push(Buffer.from(event));
    reading = follower.reading();
    counts.push(
      await tokenizer.count(model, { side: 'output', countable: reading.generated, isCutOff: true }),
    );
  }
  follower.end();
  const { usage } = follower.reading();
  return { record, counts, theirs: usage === null ? null : outputTokens(usage) };
}

describe.each(apis)('recorded streams of %s that break off at any event', (api, dialect, path, members) => {
  const records = readCorpus(api).filter(({ stream, response }) => stream && response.status === 200);

  test('never cost less for being longer, and hardly ever more than all of it', async () => {
    const request = requestOf(dialect, path, { model: 'm', stream: true, ...members });
    const all = await Promise.all(records.map((record) => followed(record, dialect, request)));
    const falling = all.filter(({ counts }) => counts.some((count, at) => count < (counts[at - 1] ?? 0)));
    const counted = all.filter(({ theirs }) => theirs !== null && theirs > 0);
    const dearer = counted.filter(({ counts, theirs }) => Math.max(...counts) > Number(theirs));
    const events = all.reduce((sum, { counts }) => sum + counts.length, 0);
    report(
      `${all.length} streams of ${api} broken off at each of ${events} events: ${falling.length} fall, ` +
        `${dearer.length} of ${counted.length} exceed what the provider counts in the end: ` +
        dearer
          .map(({ record, counts, theirs }) => `${record.model} ${Math.max(...counts)}/${theirs}`)
          .join(', '),
    );
    expect(falling.map(({ record }) => record.id)).toEqual([]);
    expect(dearer.length).toBeLessThanOrEqual(Math.ceil(0.06 * counted.length));
    if (api !== 'chat.completions') return;
    expect(dearer.filter(({ record }) => vocabularyOf(record.model ?? '') === 'own')).toEqual([]);
  });
});
