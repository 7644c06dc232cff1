import type { Dialect } from '../dialect.ts';
import { authorization } from '../openai/authorization.ts';
import { ChunkMeter } from '../openai/chunk-meter.ts';
import { errorBody, errorEvent } from '../openai/errors.ts';
import { readWholeAnswer } from '../openai/whole-answer.ts';
import { followSse } from '../sse-follower.ts';
import { CompletionChoices } from './choices.ts';
import { readRequest } from './request.ts';

/** OpenAI's older text completions, which continue a text, as most who serve open models speak them, too. */
export const openaiCompletions: Dialect = {
  name: 'openai.completions',
  paths: ['/v1/completions'],
  authorization,
  readRequest,
  readAnswer: (body, context) => readWholeAnswer(body, new CompletionChoices(context)),
  followStream: (context) =>
    followSse(new ChunkMeter(new CompletionChoices(context), context.request.asksUsage), errorEvent),
  errorBody,
};
