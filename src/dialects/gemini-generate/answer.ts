import type { AnswerReading } from '../dialect.ts';
import { asArray, asObject, parseJson } from '../json.ts';
import { AnswerMeter, type MeterContext } from './answer-meter.ts';

/** Meters a whole answer. One that isn't an answer is metered as having generated nothing. */
export function readAnswer(body: Buffer, context: MeterContext): AnswerReading {
  const meter = new AnswerMeter(context);
  const answer = parseJson(body.toString('utf8'));
  const chunks = asArray(answer) ?? [answer];
  for (const chunk of chunks) meter.take(chunk);
  const reading = meter.reading(true);
  if (chunks.some((chunk) => asObject(chunk) !== null)) return reading;
  return { ...reading, error: 'The answer is not a JSON object' };
}
