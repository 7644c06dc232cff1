import type { Given } from './format.ts';
import { beginning, encoded, noPieces, type Pieces, sentences } from './pieces.ts';
import { below, randomId } from './random.ts';
import { sampleJson } from './sample-json.ts';
import { type CallableTool, defaultReasoningTokens, type JsonSchema, type Task } from './task.ts';
import type { Usage } from './usage.ts';

/** Everything that will be said to one request, before a wire format lays it out. */
export interface Answer {
  /** What makes its id unlike others'. */
  readonly key: string;
  /** Seconds since 1970, drawn like the rest: a clock would make the same request's bytes differ. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly Choice[];
  /** Whether the text of the reasoning is told. */
  readonly tellsReasoning: boolean;
  readonly usage: Usage;
}

export interface Choice {
  readonly reasoning: Pieces;
  readonly message: ChoiceMessage;
  readonly end: ChoiceEnd;
}

/** It said all, it was cut by the maximum, it waits for results of tools, or it declined. */
export type ChoiceEnd = 'stop' | 'length' | 'tool_calls' | 'refusal';

export type ChoiceMessage =
  | { readonly kind: 'content'; readonly text: Pieces }
  | { readonly kind: 'refusal'; readonly text: Pieces }
  | { readonly kind: 'tool_calls'; readonly calls: readonly ToolCall[] };

export interface ToolCall {
  /** What makes its id unlike others'. */
  readonly key: string;
  readonly name: string;
  readonly callArguments: Pieces;
}

interface Assignment extends Given {
  readonly task: Task;
}

/** How a model declines in words. */
export const spokenRefusal = encoded("I'm sorry, but I can't help with that request.");
const earliestCreated = Date.UTC(2026, 0, 1) / 1000;
const secondsPerYear = 31_536_000;
const wordsPerString = 6;
/** `sim-reasoning` thinks without being told to. */
const reasoningModel = 'sim-reasoning';

export function composeAnswer(asked: Task, given: Given): Answer {
  const task = given.directives.ignore_maximum ? { ...asked, maxOutputTokens: Infinity } : asked;
  const assignment = { ...given, task };
  const { model, directives, draws, promptTokens } = given;
  const ids = draws.sequence('ids');
  const key = randomId(ids, 29);
  const created = earliestCreated + below(ids, secondsPerYear);
  const choices = Array.from({ length: task.choices }, (_, index) => composeChoice(assignment, index));
  const reasoningTokens = choices.reduce((sum, { reasoning }) => sum + reasoning.tokens, 0);
  const messageTokens = choices.reduce((sum, { message }) => sum + tokensOf(message), 0);
  return {
    key,
    created,
    model,
    choices,
    tellsReasoning: task.reasoning.isTold && directives.reasoning_field !== 'hidden',
    usage: {
      ...promptUsage(given),
      promptTokens,
      completionTokens: reasoningTokens + messageTokens,
      reasoningTokens,
    },
  };
}

/** What a cache had of the prompt, and took of it: never more than there is. */
function promptUsage({ directives, promptTokens }: Given) {
  const cachedTokens = Math.min(directives.cached_tokens, promptTokens);
  const cacheWriteTokens = Math.min(directives.cache_write_tokens, promptTokens - cachedTokens);
  const left = promptTokens - cachedTokens - cacheWriteTokens;
  return {
    cachedTokens,
    cacheWriteTokens,
    cacheWrite1hTokens: Math.min(directives.cache_write_1h_tokens, left),
  };
}

/** Tokens of what a message says. A tool call counts its arguments; its name and id are the format's. */
export function tokensOf(message: ChoiceMessage): number {
  return message.kind === 'tool_calls'
    ? message.calls.reduce((sum, { callArguments }) => sum + callArguments.tokens, 0)
    : message.text.tokens;
}

/** Tokens of all text that a client gets to see. */
export function toldTokens({ usage, tellsReasoning }: Answer): number {
  return tellsReasoning ? usage.completionTokens : usage.completionTokens - usage.reasoningTokens;
}

function composeChoice(assignment: Assignment, index: number): Choice {
  const { task, draws } = assignment;
  const wanted = wantedReasoning(assignment);
  const reasoningSeed = draws.sequence('reasoning', index)();
  const reasoning = beginning(
    wanted === 0 ? noPieces : sentences(reasoningSeed, wanted),
    task.maxOutputTokens,
  );
  const whole = composeMessage(assignment, index);
  const message = cutMessage(whole, task.maxOutputTokens - reasoning.tokens);
  const isCut = reasoning.tokens < wanted || tokensOf(message) < tokensOf(whole);
  return { reasoning, message, end: isCut ? 'length' : usualEnd(whole) };
}

function wantedReasoning({ task, model, directives }: Assignment): number {
  if (!task.reasoning.isPossible) return 0;
  const usual = model === reasoningModel ? defaultReasoningTokens : task.reasoning.usualTokens;
  return directives.reasoning ?? usual;
}

function usualEnd({ kind }: ChoiceMessage): ChoiceEnd {
  return kind === 'content' ? 'stop' : kind;
}

function composeMessage(assignment: Assignment, index: number): ChoiceMessage {
  const { task, directives, draws } = assignment;
  if (directives.refusal) return { kind: 'refusal', text: task.refusal };
  if (task.tools.length > 0) return { kind: 'tool_calls', calls: composeCalls(assignment, index) };
  if (task.schema !== null) return { kind: 'content', text: composeJson(assignment, index, task.schema) };
  const tokens = directives.tokens ?? 40 + below(draws.sequence('lengths', index), 81);
  return { kind: 'content', text: sentences(draws.sequence('text', index)(), tokens) };
}

function composeCalls(assignment: Assignment, index: number): readonly ToolCall[] {
  const { task, directives, draws } = assignment;
  const ids = draws.sequence('ids', index + 1);
  const calls = task.callsInParallel ? Math.max(1, directives.tool_calls) : 1;
  const first = below(ids, task.tools.length);
  return Array.from({ length: calls }, (_, call) => {
    const tool: CallableTool | undefined = task.tools[(first + call) % task.tools.length];
    return {
      key: randomId(ids, 24),
      name: tool?.name ?? '',
      callArguments: composeJson(assignment, index * 128 + call, {
        type: 'object',
        ...tool?.parameters,
      }),
    };
  });
}

function composeJson({ directives, draws }: Assignment, index: number, schema: JsonSchema): Pieces {
  const value = sampleJson(schema, draws.sequence('values', index), directives.tokens ?? wordsPerString);
  return encoded(JSON.stringify(value));
}

function cutMessage(message: ChoiceMessage, limit: number): ChoiceMessage {
  if (message.kind !== 'tool_calls') return { ...message, text: beginning(message.text, limit) };
  const calls: ToolCall[] = [];
  let left = limit;
  for (const call of message.calls) {
    if (left <= 0) break;
    const callArguments = beginning(call.callArguments, left);
    calls.push({ ...call, callArguments });
    left -= callArguments.tokens;
  }
  return { kind: 'tool_calls', calls };
}
