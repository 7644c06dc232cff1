import { type AnswerContext, type AnswerReading, nothingSaid } from '../dialect.ts';
import { asArray, asObject, asText, parseJson } from '../json.ts';
import { errorMessage } from './errors.ts';
import { GeneratedText } from './generated.ts';
import { readMessage } from './message.ts';

/** Meters a whole answer. One that isn't a message is metered as having generated nothing. */
export function readAnswer(body: Buffer, context: Pick<AnswerContext, 'request'>): AnswerReading {
  const generated = new GeneratedText();
  const answer = asObject(parseJson(body.toString('utf8')));
  if (answer === null) {
    const nothing = { texts: [], overhead: 0 };
    return { ...nothingSaid, generated: nothing, error: 'The answer is not a JSON object' };
  }
  for (const [index, entry] of (asArray(answer.content) ?? []).entries()) {
    const block = asObject(entry);
    if (block !== null) generated.addBlock(index, block);
  }
  const isError = answer.type === 'error' || asObject(answer.error) !== null;
  const message = {
    id: asText(answer.id),
    model: asText(answer.model),
    generated,
    stopReason: asText(answer.stop_reason),
    reported: asObject(answer.usage),
    usageIsFinal: true,
    error: isError ? errorMessage(answer.error) : null,
  };
  return readMessage(message, context);
}
