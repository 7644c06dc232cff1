import { expect, test } from 'vitest';
import { type CorpusRecord, readCorpus } from '../../test/support/corpus.ts';
import { costsLessInTheEnd } from '../../test/support/falling-streams.ts';
import { quietObserver } from '../../test/support/quiet-observer.ts';
import { anthropicMessages } from '../dialects/anthropic-messages/index.ts';
import type { Dialect, DialectRequest } from '../dialects/dialect.ts';
import { geminiGenerate } from '../dialects/gemini-generate/index.ts';
import { openaiChat } from '../dialects/openai-chat/index.ts';
import { openaiResponses } from '../dialects/openai-responses/index.ts';
import { charge } from '../domain/charge.ts';
import { parseRate } from '../domain/money.ts';
import { type PriceList, unitMultiplierPpm } from '../domain/pricing.ts';
import { quirksOf } from '../domain/quirks.ts';
import type { Usage } from '../domain/usage.ts';
import { createLearningTokenizer } from '../tokenizer/learning-tokenizer.ts';
import { createThreadedTokenizer } from '../tokenizer/threaded-tokenizer.ts';
import { meter } from './meter.ts';

const prices: PriceList = {
  rates: { input: parseRate('2.5', 1_000_000), output: parseRate('10', 1_000_000) },
};
const observer = {
  ...quietObserver,
  fault: (what: string, error: unknown) => {
    throw new Error(what, { cause: error });
  },
};

const amountOf = (usage: Usage) => charge({ usage }, prices, unitMultiplierPpm).amount;

interface Api {
  readonly api: string;
  readonly dialect: Dialect;
  readonly path: string;
  bodyOf(record: CorpusRecord): object;
}

const named = ({ request, model }: CorpusRecord) => ({ model, ...request, stream: true });
const apis: readonly Api[] = [
  { api: 'chat.completions', dialect: openaiChat, path: '/v1/chat/completions', bodyOf: named },
  { api: 'messages', dialect: anthropicMessages, path: '/v1/messages', bodyOf: named },
  { api: 'responses', dialect: openaiResponses, path: '/v1/responses', bodyOf: named },
  {
    api: 'streamGenerateContent',
    dialect: geminiGenerate,
    path: '/v1beta/models/m:streamGenerateContent',
    bodyOf: ({ request }) => ({ ...request }),
  },
];

/** The request as it was recorded; null where it wasn't, or wasn't all. */
function requestOf({ dialect, path, bodyOf }: Api, record: CorpusRecord): DialectRequest | null {
  if (record.request === null || record.request._omitted !== undefined) return null;
  const body = Buffer.from(JSON.stringify(bodyOf(record)));
  const request = dialect.readRequest({ path, query: new URLSearchParams('alt=sse'), body });
  return request.kind === 'refused' ? null : request;
}

test.each(apis)('a recorded stream of $api never costs less for breaking off later', async (api) => {
  const tokenizer = createLearningTokenizer({
    counter: createThreadedTokenizer(),
    store: { load: async () => [], save: async () => undefined },
    known: [],
    onAccuracy: () => undefined,
    onFault: () => undefined,
  });
  const options = { tokenizer, observer };
  const falling: string[] = [];
  let streams = 0;
  let events = 0;
  for (const record of readCorpus(api.api).filter(
    ({ stream, response }) => stream && response.status === 200,
  )) {
    const request = requestOf(api, record);
    if (request === null) continue;
    const contentType = record.response.content_type ?? '';
    const follower = api.dialect.followStream({ quirks: quirksOf(record.provider), request, contentType });
    const upstreamModel = record.model ?? '';
    const amounts: bigint[] = [];
    for (const event of record.response.body.split(/(?<=\r?\n\r?\n)/)) {
      follower.push(Buffer.from(event));
      const reading = follower.reading();
      if (!reading.begun) continue;
      const { usage } = await meter({ request, upstreamModel, reading, complete: false }, options);
      amounts.push(amountOf(usage));
    }
    follower.end();
    const { usage } = follower.reading();
    if (usage !== null) amounts.push(amountOf(usage));
    streams++;
    events += amounts.length;
    const isFalling = amounts.some((amount, at) => amount < (amounts[at - 1] ?? 0n));
    if (isFalling) falling.push(record.id);
  }
  await tokenizer.close();
  console.info(
    `corpus: ${streams} streams of ${api.api} broken off at each of ${events} events: ${falling.length} cost less later`,
  );
  expect(falling.filter((id) => !costsLessInTheEnd(id))).toEqual([]);
});
