import type { AnswerContext, AnswerReading } from '../dialect.ts';
import { readWholeAnswer } from '../openai/whole-answer.ts';
import { ChatChoices } from './choices.ts';

/** Meters a whole chat completion. */
export function readAnswer(body: Buffer, { quirks }: Pick<AnswerContext, 'quirks'>): AnswerReading {
  return readWholeAnswer(body, new ChatChoices(quirks, 'message'));
}
