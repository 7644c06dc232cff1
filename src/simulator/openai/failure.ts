import type { AnswerEvent } from '../format.ts';
import { openaiWording } from './wording.ts';

/** OpenAI's error in the midst of a stream of chunks. */
export function* failureEvent(): Generator<AnswerEvent> {
  yield { data: openaiWording.body(openaiWording.serverError(), ''), tokens: 0 };
}
