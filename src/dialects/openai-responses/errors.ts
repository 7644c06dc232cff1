import type { Refusal } from '../../domain/errors.ts';
import { asObject, parseJson } from '../json.ts';
import { errorBody } from '../openai/errors.ts';

/**
 * An `error` event of a stream. OpenAI documents code, message and param at the top, sends them below
 * `error` (openai/openai-dotnet#881), and its clients for Python and Node raise only on the latter: with
 * both, every client finds them.
 * @param sequenceNumber events are numbered, and some clients refuse one without a number
 */
export function streamError(refusal: Refusal, sequenceNumber: number): Buffer {
  const error = asObject(asObject(parseJson(errorBody(refusal).toString()))?.error) ?? {};
  const { code, message, param } = error;
  const event = { type: 'error', code, message, param, sequence_number: sequenceNumber, error };
  return Buffer.from(`event: error\ndata: ${JSON.stringify(event)}\n\n`);
}
