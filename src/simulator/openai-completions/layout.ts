import type { Answer, Choice } from '../answer.ts';
import type { Directives } from '../directives.ts';
import type { AnswerEvent } from '../format.ts';
import { inTurn } from '../in-turn.ts';
import { doneEvent } from '../openai/done.ts';
import { grouped, noPieces, textOf } from '../pieces.ts';
import { toldUsage, type Usage, usageMember } from '../usage.ts';

export interface CompletionLayout {
  readonly answer: Answer;
  /** Those of the answer's choices that are shown: `best_of` makes more. */
  readonly choices: readonly ShownChoice[];
  readonly directives: Directives;
  readonly includeUsage: boolean;
}

export interface ShownChoice {
  readonly choice: Choice;
  /** What `echo` puts before the text. */
  readonly echoed: string;
}

/** An answer as one body: OpenAI's `text_completion`. */
export function completionBody({ answer, choices, directives }: CompletionLayout): string {
  return JSON.stringify({
    ...headOf(answer),
    choices: choices.map(({ choice, echoed }, index) => ({
      text: echoed + textOf(piecesOf(choice)),
      index,
      logprobs: null,
      finish_reason: finishReasonOf(choice),
    })),
    model: answer.model,
    ...usageMember('usage', toldUsage(answer.usage, directives.fault.usage), usageObject),
  });
}

/** An answer as OpenAI streams it: texts, a last one that is empty with the finish reason, the usage, and `[DONE]`. */
export function* answerEvents(layout: CompletionLayout): Generator<AnswerEvent> {
  const { answer, choices, directives, includeUsage } = layout;
  const fault = directives.fault.usage;
  const head = JSON.stringify(headOf(answer)).slice(0, -1);
  const plainUsage = includeUsage && fault !== 'no_usage' ? ',"usage":null' : '';
  const soFar = { ...answer.usage, completionTokens: 0 };
  const model = JSON.stringify(answer.model);
  const changes = choices.map((shown, index) => changesOf(shown, index, directives.tokens_per_event));
  for (const { json, tokens } of inTurn(changes)) {
    soFar.completionTokens += tokens;
    const usage =
      fault === 'usage_every_chunk' ? `,"usage":${JSON.stringify(usageObject(soFar))}` : plainUsage;
    yield { data: `${head},"choices":[${json}],"model":${model}${usage}}`, tokens };
  }
  const told = includeUsage ? toldUsage(answer.usage, fault) : undefined;
  if (told !== undefined) {
    const usage = JSON.stringify(told === null ? null : usageObject(told));
    yield { data: `${head},"choices":[],"model":${model},"usage":${usage}}`, tokens: 0 };
  }
  yield doneEvent;
}

function* changesOf({ choice, echoed }: ShownChoice, index: number, size: number) {
  const change = (json: string, reason: string) =>
    `{"text":"${json}","index":${index},"logprobs":null,"finish_reason":${reason}}`;
  if (echoed !== '') yield { json: change(JSON.stringify(echoed).slice(1, -1), 'null'), tokens: 0 };
  for (const { json, tokens } of grouped(piecesOf(choice), size)) {
    yield { json: change(json, 'null'), tokens };
  }
  yield { json: change('', `"${finishReasonOf(choice)}"`), tokens: 0 };
}

function headOf({ key, created }: Answer) {
  return { id: `cmpl-${key}`, object: 'text_completion', created };
}

function piecesOf({ message }: Choice) {
  return message.kind === 'tool_calls' ? noPieces : message.text;
}

function finishReasonOf({ end }: Choice): string {
  return end === 'length' ? 'length' : 'stop';
}

function usageObject(usage: Usage) {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
}
