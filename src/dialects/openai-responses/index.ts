import type { Dialect } from '../dialect.ts';
import { authorization } from '../openai/authorization.ts';
import { errorBody } from '../openai/errors.ts';
import { followSse } from '../sse-follower.ts';
import { readAnswer } from './answer.ts';
import { streamError } from './errors.ts';
import { readRequest } from './request.ts';
import { ResponseStreamMeter } from './stream-meter.ts';

/** Responses as OpenAI defined them, and as xAI, DeepSeek, OpenRouter, Bedrock and others speak them. */
export const openaiResponses: Dialect = {
  name: 'openai.responses',
  paths: ['/v1/responses'],
  authorization,
  readRequest,
  readAnswer,
  followStream: (context) => {
    const meter = new ResponseStreamMeter(context);
    return followSse(meter, (refusal) => streamError(refusal, meter.nextSequenceNumber));
  },
  errorBody,
};
