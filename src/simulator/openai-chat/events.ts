import type { Answer, Choice } from '../answer.ts';
import type { Directives } from '../directives.ts';
import type { AnswerEvent } from '../format.ts';
import { inTurn } from '../in-turn.ts';
import { doneEvent } from '../openai/done.ts';
import { grouped } from '../pieces.ts';
import { toldUsage } from '../usage.ts';
import { type FinishReason, fingerprint } from './body.ts';
import { usageJson } from './usage.ts';

/** A change of one choice, before it is wrapped as a chunk. */
interface Delta {
  readonly index: number;
  readonly delta: string;
  readonly finishReason: FinishReason | null;
  readonly tokens: number;
  readonly isReasoning: boolean;
}

export interface ChunkLayout {
  readonly answer: Answer;
  readonly directives: Directives;
  readonly includeUsage: boolean;
  finishReasonOf(choice: Choice): FinishReason;
}

/**
 * An answer as OpenAI streams it: per choice a first event with the role, events with text, a last
 * one with the finish reason; then, if it was asked for, one with the usage and no choice; then
 * `[DONE]`. Made while it is walked.
 */
export function* answerEvents(layout: ChunkLayout): Generator<AnswerEvent> {
  const { answer, directives, includeUsage } = layout;
  const usageFault = directives.fault.usage;
  const head =
    `{"id":"chatcmpl-${answer.key}","object":"chat.completion.chunk","created":${answer.created},` +
    `"model":${JSON.stringify(answer.model)},"service_tier":"default","system_fingerprint":"${fingerprint}"`;
  // Hidden reasoning is over before the first event.
  const hidden = answer.tellsReasoning ? 0 : answer.usage.reasoningTokens;
  const soFar = { ...answer.usage, completionTokens: hidden, reasoningTokens: hidden };
  const plainTail = includeUsage && usageFault !== 'no_usage' ? ',"usage":null}' : '}';
  const choices = answer.choices.map((choice, index) => choiceDeltas(choice, index, layout));
  for (const { index, delta, finishReason, tokens, isReasoning } of inTurn(choices)) {
    soFar.completionTokens += tokens;
    if (isReasoning) soFar.reasoningTokens += tokens;
    const tail = usageFault === 'usage_every_chunk' ? `,"usage":${usageJson(soFar)}}` : plainTail;
    const finish = finishReason === null ? 'null' : `"${finishReason}"`;
    const choice = `{"index":${index},"delta":${delta},"logprobs":null,"finish_reason":${finish}}`;
    yield { data: `${head},"choices":[${choice}]${tail}`, tokens };
  }
  const told = includeUsage ? toldUsage(answer.usage, usageFault) : undefined;
  if (told !== undefined) {
    const usage = told === null ? 'null' : usageJson(told);
    yield { data: `${head},"choices":[],"usage":${usage}}`, tokens: 0 };
  }
  yield doneEvent;
}

function* choiceDeltas(
  choice: Choice,
  index: number,
  { answer, directives, finishReasonOf }: ChunkLayout,
): Generator<Delta> {
  const { reasoning, message } = choice;
  const group = directives.tokens_per_event;
  const field = directives.reasoning_field;
  const plain = { index, finishReason: null, tokens: 0, isReasoning: false };
  const firstContent = message.kind === 'content' ? '""' : 'null';
  yield { ...plain, delta: `{"role":"assistant","content":${firstContent},"refusal":null}` };
  if (answer.tellsReasoning) {
    for (const { json, tokens } of grouped(reasoning, group)) {
      yield { ...plain, delta: `{"${field}":"${json}"}`, tokens, isReasoning: true };
    }
  }
  if (message.kind === 'tool_calls') {
    for (const [at, call] of message.calls.entries()) {
      const opening = {
        index: at,
        id: `call_${call.key}`,
        type: 'function',
        function: { name: call.name, arguments: '' },
      };
      yield { ...plain, delta: `{"tool_calls":[${JSON.stringify(opening)}]}` };
      for (const { json, tokens } of grouped(call.callArguments, group)) {
        const delta = `{"tool_calls":[{"index":${at},"function":{"arguments":"${json}"}}]}`;
        yield { ...plain, delta, tokens };
      }
    }
  } else {
    for (const { json, tokens } of grouped(message.text, group)) {
      yield { ...plain, delta: `{"${message.kind}":"${json}"}`, tokens };
    }
  }
  yield { ...plain, delta: '{}', finishReason: finishReasonOf(choice) };
}
