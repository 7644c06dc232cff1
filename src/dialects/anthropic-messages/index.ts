import type { Dialect } from '../dialect.ts';
import { followSse } from '../sse-follower.ts';
import { readAnswer } from './answer.ts';
import { errorBody, errorEvent } from './errors.ts';
import { readCountRequest, readRequest } from './request.ts';
import { MessageStreamMeter } from './stream-meter.ts';

/** Messages as Anthropic defined them, and as its models are served on clouds too. */
export const anthropicMessages: Dialect = {
  name: 'anthropic.messages',
  paths: ['/v1/messages'],
  authorization: (credential) => ({ 'x-api-key': credential }),
  readRequest,
  readAnswer,
  followStream: (context) => followSse(new MessageStreamMeter(context), errorEvent),
  errorBody,
};

/** How many tokens a message would have: answered by the provider, for nothing. */
export const anthropicCountTokens: Dialect = {
  ...anthropicMessages,
  paths: ['/v1/messages/count_tokens'],
  readRequest: readCountRequest,
};
