import type { Dialect, StreamContext } from '../dialect.ts';
import { followSse } from '../sse-follower.ts';
import { paths } from './address.ts';
import { readAnswer } from './answer.ts';
import { errorBody, errorEvent } from './errors.ts';
import { EventMeter } from './event-meter.ts';
import { JsonArrayFollower } from './json-array-follower.ts';
import { GeminiRequest, readRequest } from './request.ts';

/** By what upstream says that it sends; where it doesn't say, by what was asked for. */
function isArray({ contentType, request }: StreamContext): boolean {
  if (contentType.includes('text/event-stream')) return false;
  return contentType.includes('json') || (request instanceof GeminiRequest && request.asksArray);
}

/** Gemini's own format, as the Gemini API speaks it, and Vertex below a base URL of its own. */
export const geminiGenerate: Dialect = {
  name: 'gemini.generate',
  // GET on the same paths lists models, and isn't a dialect's matter.
  paths,
  authorization: (credential) => ({ 'x-goog-api-key': credential }),
  readRequest,
  readAnswer,
  followStream: (context) =>
    isArray(context) ? new JsonArrayFollower(context) : followSse(new EventMeter(context), errorEvent),
  errorBody,
};
