import type { Directives } from './directives.ts';
import { beginning, encoded, noPieces, type Pieces, sentences } from './pieces.ts';
import { below, type Draws, randomId } from './random.ts';
import { sampleJson } from './sample-json.ts';
import type { Usage } from './usage.ts';
import { type ChatRequest, demandedTool, type JsonSchema } from './validation.ts';

/** Everything that will be said to one request, before it is laid out as a body or as events. */
export interface Answer {
  readonly id: string;
  /** Seconds since 1970, drawn like the rest: a clock would make the same request's bytes differ. */
  readonly created: number;
  readonly model: string;
  readonly reasoningField: Directives['reasoning_field'];
  readonly choices: readonly Choice[];
  readonly usage: Usage;
}

export interface Choice {
  readonly reasoning: Pieces;
  readonly message: ChoiceMessage;
  readonly finishReason: 'stop' | 'length' | 'tool_calls';
}

export type ChoiceMessage =
  | { readonly kind: 'content'; readonly text: Pieces }
  | { readonly kind: 'refusal'; readonly text: Pieces }
  | { readonly kind: 'tool_calls'; readonly calls: readonly ToolCall[] };

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly callArguments: Pieces;
}

export interface Assignment {
  readonly request: ChatRequest;
  /** The model's name without directives. */
  readonly model: string;
  readonly directives: Directives;
  readonly promptTokens: number;
  readonly draws: Draws;
}

const refusal = encoded("I'm sorry, but I can't help with that request.");
const earliestCreated = Date.UTC(2026, 0, 1) / 1000;
const secondsPerYear = 31_536_000;
const wordsPerString = 6;
/** `sim-reasoning` thinks without being told to. */
const reasoningModel = 'sim-reasoning';
const defaultReasoningTokens = 48;

export function composeAnswer(assignment: Assignment): Answer {
  const { request, model, directives, promptTokens, draws } = assignment;
  const ids = draws.sequence('ids');
  const id = `chatcmpl-${randomId(ids, 29)}`;
  const created = earliestCreated + below(ids, secondsPerYear);
  const choices = Array.from({ length: request.n ?? 1 }, (_, index) => composeChoice(assignment, index));
  const reasoningTokens = choices.reduce((sum, { reasoning }) => sum + reasoning.tokens, 0);
  const messageTokens = choices.reduce((sum, { message }) => sum + tokensOf(message), 0);
  return {
    id,
    created,
    model,
    reasoningField: directives.reasoning_field,
    choices,
    usage: {
      promptTokens,
      cachedTokens: Math.min(directives.cached_tokens, promptTokens),
      completionTokens: reasoningTokens + messageTokens,
      reasoningTokens,
    },
  };
}

/** Tokens of what a message says. A tool call counts its arguments; its name and id are the format's. */
export function tokensOf(message: ChoiceMessage): number {
  return message.kind === 'tool_calls'
    ? message.calls.reduce((sum, { callArguments }) => sum + callArguments.tokens, 0)
    : message.text.tokens;
}

function composeChoice(assignment: Assignment, index: number): Choice {
  const { request, model, directives, draws } = assignment;
  const limit = request.max_completion_tokens ?? request.max_tokens ?? Number.POSITIVE_INFINITY;
  const wanted = directives.reasoning ?? (model === reasoningModel ? defaultReasoningTokens : 0);
  const reasoningSeed = draws.sequence('reasoning', index)();
  const reasoning = beginning(wanted === 0 ? noPieces : sentences(reasoningSeed, wanted), limit);
  const whole = composeMessage(assignment, index);
  const message = cutMessage(whole, limit - reasoning.tokens);
  const isCut = reasoning.tokens < wanted || tokensOf(message) < tokensOf(whole);
  return { reasoning, message, finishReason: isCut ? 'length' : usualFinish(request, whole) };
}

/** A call that was demanded by its tool's name ends with `stop` at OpenAI; only a chosen one with `tool_calls`. */
function usualFinish(request: ChatRequest, message: ChoiceMessage): Choice['finishReason'] {
  return message.kind === 'tool_calls' && demandedTool(request) === undefined ? 'tool_calls' : 'stop';
}

function composeMessage(assignment: Assignment, index: number): ChoiceMessage {
  const { request, directives, draws } = assignment;
  if (directives.refusal) return { kind: 'refusal', text: refusal };
  const tools = callableTools(request);
  if (tools.length > 0) return { kind: 'tool_calls', calls: composeCalls(assignment, index, tools) };
  const format = request.response_format?.type ?? 'text';
  if (format !== 'text') {
    const schema = request.response_format?.json_schema?.schema ?? anyObject;
    return { kind: 'content', text: composeJson(assignment, index, schema) };
  }
  const tokens = directives.tokens ?? 40 + below(draws.sequence('lengths', index), 81);
  return { kind: 'content', text: sentences(draws.sequence('text', index)(), tokens) };
}

const anyObject: JsonSchema = { type: 'object', properties: { answer: { type: 'string' } } };

interface CallableTool {
  readonly name: string;
  readonly parameters: JsonSchema;
}

/** The tools that this answer calls one of; none when it is to be text. */
function callableTools(request: ChatRequest): CallableTool[] {
  const choice = request.tool_choice ?? 'auto';
  const demanded = demandedTool(request);
  // An agent's loop ends when the model, left to choose, answers a tool's result in words.
  if (choice === 'none' || (choice === 'auto' && request.messages.at(-1)?.role === 'tool')) return [];
  const tools = (request.tools ?? []).flatMap((tool) =>
    tool.function ? [{ name: tool.function.name, parameters: tool.function.parameters ?? {} }] : [],
  );
  return demanded === undefined ? tools : tools.filter(({ name }) => name === demanded);
}

function composeCalls(
  assignment: Assignment,
  index: number,
  tools: readonly CallableTool[],
): readonly ToolCall[] {
  const { request, directives, draws } = assignment;
  const ids = draws.sequence('ids', index + 1);
  const calls = request.parallel_tool_calls === false ? 1 : Math.max(1, directives.tool_calls);
  const first = below(ids, tools.length);
  return Array.from({ length: calls }, (_, call) => {
    const tool = tools[(first + call) % tools.length];
    return {
      id: `call_${randomId(ids, 24)}`,
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
