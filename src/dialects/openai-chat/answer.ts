import type { AnswerReading } from '../dialect.ts';
import { asArray, asObject, asText, parseJson } from '../json.ts';
import { errorMessage } from './errors.ts';
import { GeneratedText } from './generated.ts';
import { quirksOf } from './quirks.ts';
import { usageFor } from './usage.ts';

/** Meters a whole answer. One that isn't an answer is metered as having generated nothing. */
export function readAnswer(body: Buffer, provider: string): AnswerReading {
  const generated = new GeneratedText();
  const answer = asObject(parseJson(body.toString('utf8')));
  if (answer === null) {
    return {
      usage: null,
      generated: generated.countable(),
      finishReason: null,
      error: 'The answer is not a JSON object',
    };
  }
  let finishReason: string | null = null;
  for (const [position, entry] of (asArray(answer.choices) ?? []).entries()) {
    const choice = asObject(entry);
    if (choice === null) continue;
    const index = choice.index ?? position;
    const message = asObject(choice.message);
    if (message !== null) generated.add(index, message);
    if (index === 0) finishReason = asText(choice.finish_reason);
  }
  return {
    usage: usageFor(asObject(answer.usage), quirksOf(provider), generated),
    generated: generated.countable(),
    finishReason,
    error: errorMessage(answer.error),
  };
}
