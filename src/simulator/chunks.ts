import type { Answer, Choice } from './answer.ts';
import { finalUsage, fingerprint } from './completion.ts';
import type { Directives } from './directives.ts';
import type { Pieces } from './pieces.ts';
import { usageJson } from './usage.ts';

/** One server-sent event of an answer. */
export interface AnswerEvent {
  /** What stands behind `data: `. */
  readonly data: string;
  /** Tokens of the text in it. */
  readonly tokens: number;
}

export const doneData = '[DONE]';

/** A change of one choice, before it is wrapped as a chunk. */
interface Delta {
  readonly index: number;
  readonly delta: string;
  readonly finishReason: string | null;
  readonly tokens: number;
  readonly isReasoning: boolean;
}

/**
 * An answer as OpenAI streams it: per choice a first event with the role, events with text, a last
 * one with the finish reason; then, if it was asked for, one with the usage and no choice; then
 * `[DONE]`. Made while it is walked.
 */
export function* answerEvents(
  answer: Answer,
  includeUsage: boolean,
  directives: Directives,
): Generator<AnswerEvent> {
  const usageFault = directives.fault.usage;
  const head =
    `{"id":"${answer.id}","object":"chat.completion.chunk","created":${answer.created},` +
    `"model":${JSON.stringify(answer.model)},"service_tier":"default","system_fingerprint":"${fingerprint}"`;
  // Hidden reasoning is over before the first event.
  const hidden = answer.reasoningField === 'hidden' ? answer.usage.reasoningTokens : 0;
  const soFar = { ...answer.usage, completionTokens: hidden, reasoningTokens: hidden };
  const plainTail = includeUsage && usageFault !== 'no_usage' ? ',"usage":null}' : '}';
  for (const { index, delta, finishReason, tokens, isReasoning } of interleaved(answer, directives)) {
    soFar.completionTokens += tokens;
    if (isReasoning) soFar.reasoningTokens += tokens;
    const tail = usageFault === 'usage_every_chunk' ? `,"usage":${usageJson(soFar)}}` : plainTail;
    const finish = finishReason === null ? 'null' : `"${finishReason}"`;
    const choice = `{"index":${index},"delta":${delta},"logprobs":null,"finish_reason":${finish}}`;
    yield { data: `${head},"choices":[${choice}]${tail}`, tokens };
  }
  const usage = includeUsage ? finalUsage(answer, usageFault) : null;
  if (usage !== null) yield { data: `${head},"choices":[],"usage":${usage}}`, tokens: 0 };
  yield { data: doneData, tokens: 0 };
}

/** The choices in turn, as OpenAI sends them when `n` is above 1. */
function* interleaved(answer: Answer, directives: Directives): Generator<Delta> {
  const open = new Set(answer.choices.map((choice, index) => choiceDeltas(choice, index, directives)));
  while (open.size > 0) {
    for (const deltas of open) {
      const next = deltas.next();
      if (next.done) open.delete(deltas);
      else yield next.value;
    }
  }
}

function* choiceDeltas(choice: Choice, index: number, directives: Directives): Generator<Delta> {
  const { reasoning, message, finishReason } = choice;
  const group = directives.tokens_per_event;
  const field = directives.reasoning_field;
  const plain = { index, finishReason: null, tokens: 0, isReasoning: false };
  const firstContent = message.kind === 'content' ? '""' : 'null';
  yield { ...plain, delta: `{"role":"assistant","content":${firstContent},"refusal":null}` };
  if (field !== 'hidden') {
    for (const { json, tokens } of grouped(reasoning, group)) {
      yield { ...plain, delta: `{"${field}":"${json}"}`, tokens, isReasoning: true };
    }
  }
  if (message.kind === 'tool_calls') {
    for (const [at, call] of message.calls.entries()) {
      const opening = {
        index: at,
        id: call.id,
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
  yield { ...plain, delta: '{}', finishReason };
}

/** Text for one event each, of `size` tokens or, at the end and around cut characters, a few less or more. */
function* grouped(pieces: Pieces, size: number): Generator<{ json: string; tokens: number }> {
  if (size === 1) return yield* pieces;
  let json = '';
  let tokens = 0;
  for (const piece of pieces) {
    json += piece.json;
    tokens += piece.tokens;
    if (tokens < size) continue;
    yield { json, tokens };
    json = '';
    tokens = 0;
  }
  if (tokens > 0) yield { json, tokens };
}
