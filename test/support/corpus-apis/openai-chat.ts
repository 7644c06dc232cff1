import { type CorpusRecord, chatExceptions, expectedTokens, withoutUsageChunks } from '../corpus.ts';
import type { CorpusApi } from '../corpus-api.ts';

/** Whether the recorded client itself asked for usage in the stream. */
export function asksUsage({ request }: CorpusRecord): boolean {
  const options: unknown = request?.stream_options;
  return typeof options === 'object' && options !== null && 'include_usage' in options
    ? options.include_usage === true
    : false;
}

/** All of the body, but for the usage of a stream that its client didn't ask for. */
export function deliveredStream(record: CorpusRecord): string {
  const { body } = record.response;
  return record.stream && !asksUsage(record) ? withoutUsageChunks(body) : body;
}

export const openaiChatApi: CorpusApi = {
  api: 'chat.completions',
  dialect: 'openai.chat',
  pathOf: () => '/v1/chat/completions',
  bodyOf({ request, stream }, model) {
    const { _omitted: _, ...recorded } = request ?? {};
    return { messages: [{ role: 'user', content: 'as recorded' }], ...recorded, model, stream };
  },
  deliveredOf: deliveredStream,
  expectedTokens,
  exceptions: chatExceptions,
  // An error in the place of an answer: nothing but the error came.
  isVoided: ({ usage, response: { body } }) =>
    usage === null && body.includes('"error"') && !body.includes('"choices"'),
  isFree: false,
};
