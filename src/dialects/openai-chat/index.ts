import type { Dialect } from '../dialect.ts';
import { authorization } from '../openai/authorization.ts';
import { ChunkMeter } from '../openai/chunk-meter.ts';
import { errorBody, errorEvent } from '../openai/errors.ts';
import { followSse } from '../sse-follower.ts';
import { readAnswer } from './answer.ts';
import { ChatChoices } from './choices.ts';
import { readRequest } from './request.ts';

/** Chat completions as OpenAI defined them and most other providers speak them. */
export const openaiChat: Dialect = {
  name: 'openai.chat',
  paths: ['/v1/chat/completions'],
  authorization,
  readRequest,
  readAnswer,
  followStream: ({ quirks, request }) =>
    followSse(new ChunkMeter(new ChatChoices(quirks, 'delta'), request.asksUsage), errorEvent),
  errorBody,
};
