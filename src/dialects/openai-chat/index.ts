import type { Dialect } from '../dialect.ts';
import { followSse } from '../sse-follower.ts';
import { readAnswer } from './answer.ts';
import { errorBody, errorEvent } from './errors.ts';
import { readRequest } from './request.ts';
import { ChatStreamMeter } from './stream-meter.ts';

/** Chat completions as OpenAI defined them and most other providers speak them. */
export const openaiChat: Dialect = {
  name: 'openai.chat',
  upstreamPath: '/chat/completions',
  authorization: (credential) => ({ authorization: `Bearer ${credential}` }),
  readRequest,
  readAnswer,
  followStream: (options) => followSse(new ChatStreamMeter(options)),
  errorBody,
  errorEvent,
};
