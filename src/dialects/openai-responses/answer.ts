import { type AnswerContext, type AnswerReading, nothingSaid } from '../dialect.ts';
import { asObject, parseJson } from '../json.ts';
import { GeneratedText } from './generated.ts';
import { factsOf, outputOf, readingOf } from './response.ts';
import { ToolCalls } from './tool-calls.ts';

/** Meters a whole answer. One that isn't an answer is metered as having generated nothing. */
export function readAnswer(body: Buffer, { quirks }: Pick<AnswerContext, 'quirks'>): AnswerReading {
  const response = asObject(parseJson(body.toString('utf8')));
  if (response === null) {
    return {
      ...nothingSaid,
      generated: { texts: [], overhead: 0 },
      error: 'The answer is not a JSON object',
    };
  }
  const generated = new GeneratedText();
  const toolCalls = new ToolCalls();
  generated.setOutput(outputOf(response));
  toolCalls.addAll(outputOf(response));
  const facts = factsOf(response);
  const { error, finishReason } = facts;
  return readingOf({ facts, generated, toolCalls, error, finishReason }, quirks);
}
