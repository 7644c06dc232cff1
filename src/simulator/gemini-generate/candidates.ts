import type { Answer, Choice } from '../answer.ts';
import type { Directives } from '../directives.ts';
import type { AnswerEvent } from '../format.ts';
import { inTurn } from '../in-turn.ts';
import { grouped, textOf } from '../pieces.ts';
import { usageMetadata } from './usage.ts';
import { geminiWording } from './wording.ts';

/** An answer as one body: Google's `GenerateContentResponse`. */
export function responseBody(answer: Answer, { fault }: Directives): string {
  return JSON.stringify({
    candidates: answer.choices.map((choice, index) => ({
      ...contentOf(partsOf(choice, answer.tellsReasoning)),
      finishReason: finishReasonOf(choice),
      index,
    })),
    ...usageMetadata(answer.usage, fault.usage),
    ...tailOf(answer),
  });
}

/** An answer as Google streams it: each event a response of its own, with the usage up to there. Made while it is walked. */
export function* answerEvents(answer: Answer, directives: Directives): Generator<AnswerEvent> {
  // Hidden thoughts are over before the first event.
  const hidden = answer.tellsReasoning ? 0 : answer.usage.reasoningTokens;
  const soFar = { ...answer.usage, completionTokens: hidden, reasoningTokens: hidden };
  const tail = JSON.stringify(tailOf(answer)).slice(1);
  const changes = answer.choices.map((choice, index) => changesOf(choice, index, answer, directives));
  for (const { candidate, tokens, isThought } of inTurn(changes)) {
    soFar.completionTokens += tokens;
    if (isThought) soFar.reasoningTokens += tokens;
    const usage = JSON.stringify(usageMetadata(soFar, directives.fault.usage)).slice(1, -1);
    const data = `{"candidates":[${candidate}],${usage === '' ? '' : `${usage},`}${tail}`;
    yield { data, tokens };
  }
}

export function* failureEvents(): Generator<AnswerEvent> {
  yield { data: geminiWording.body(geminiWording.serverError(), ''), tokens: 0 };
}

interface Change {
  readonly candidate: string;
  readonly tokens: number;
  readonly isThought: boolean;
}

function* changesOf(
  choice: Choice,
  index: number,
  { tellsReasoning }: Answer,
  { tokens_per_event: size }: Directives,
): Generator<Change> {
  const part = (json: string) => `{"content":{"parts":[${json}],"role":"model"},"index":${index}}`;
  if (tellsReasoning) {
    for (const { json, tokens } of grouped(choice.reasoning, size)) {
      yield { candidate: part(`{"text":"${json}","thought":true}`), tokens, isThought: true };
    }
  }
  const { message } = choice;
  if (message.kind === 'tool_calls') {
    for (const call of callParts(choice)) {
      yield { candidate: part(JSON.stringify(call.part)), tokens: call.tokens, isThought: false };
    }
  } else {
    for (const { json, tokens } of grouped(message.text, size)) {
      yield { candidate: part(`{"text":"${json}"}`), tokens, isThought: false };
    }
  }
  const parts = choice.end === 'stop' ? [{ text: '' }] : [];
  const last = { ...contentOf(parts), finishReason: finishReasonOf(choice), index };
  yield { candidate: JSON.stringify(last), tokens: 0, isThought: false };
}

function partsOf(choice: Choice, tellsReasoning: boolean): readonly object[] {
  const { reasoning, message } = choice;
  const parts: object[] = [];
  if (tellsReasoning && reasoning.tokens > 0) parts.push({ text: textOf(reasoning), thought: true });
  if (message.kind === 'tool_calls') parts.push(...callParts(choice).map(({ part }) => part));
  else if (message.text.tokens > 0) parts.push({ text: textOf(message.text) });
  return parts;
}

/** Calls come whole. One that a maximum has cut has no arguments that could be told. */
function callParts({ message }: Choice): readonly { readonly part: object; readonly tokens: number }[] {
  if (message.kind !== 'tool_calls') return [];
  return message.calls.flatMap(({ name, callArguments }) => {
    try {
      const args: unknown = JSON.parse(textOf(callArguments));
      return [{ part: { functionCall: { name, args } }, tokens: callArguments.tokens }];
    } catch {
      return [];
    }
  });
}

/** A candidate that was refused, or cut before its first word, has no parts. */
function contentOf(parts: readonly object[]) {
  return parts.length === 0 ? { content: { role: 'model' } } : { content: { parts, role: 'model' } };
}

const finishReasons = { stop: 'STOP', length: 'MAX_TOKENS', tool_calls: 'STOP', refusal: 'SAFETY' };

function finishReasonOf({ end }: Choice): string {
  return finishReasons[end];
}

function tailOf({ model, key }: Answer) {
  return { modelVersion: model, responseId: key };
}
