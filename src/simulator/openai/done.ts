import type { AnswerEvent } from '../format.ts';

/** Ends the streams of chat completions and of completions. */
export const doneEvent: AnswerEvent = { data: '[DONE]', tokens: 0, closes: true };
