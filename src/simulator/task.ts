import type { Pieces } from './pieces.ts';

export type JsonSchema = Record<string, unknown>;

/** What an answer has to be, whatever wire format it was asked for in. */
export interface Task {
  /** How many answers at once. */
  readonly choices: number;
  /** Of each of them, reasoning included; infinite where there is no maximum. */
  readonly maxOutputTokens: number;
  /** Tools of which the answer calls some; none where it is to be text. */
  readonly tools: readonly CallableTool[];
  readonly callsInParallel: boolean;
  /** What the text has to be JSON of; null for plain text. */
  readonly schema: JsonSchema | null;
  readonly reasoning: TaskReasoning;
  /** What is said to decline, where a directive asks for that. */
  readonly refusal: Pieces;
}

export interface TaskReasoning {
  /** Tokens of it where neither a directive nor the model's name says how many. */
  readonly usualTokens: number;
  /** Whether its text is part of the answer; its tokens are counted all the same. */
  readonly isTold: boolean;
  /** False in a format that knows none: then nothing brings it about. */
  readonly isPossible: boolean;
}

export interface CallableTool {
  readonly name: string;
  readonly parameters: JsonSchema;
}

/** Whether tools are called: never, as the model likes, at least one, or one of those that are named. */
export type ToolChoice = 'none' | 'auto' | 'required' | { readonly names: readonly string[] };

/** The tools that an answer calls some of; none when it is to be text. */
export function callableTools(
  offered: readonly CallableTool[],
  choice: ToolChoice,
  resultIsLast: boolean,
): readonly CallableTool[] {
  // An agent's loop ends when the model, left to choose, answers a tool's result in words.
  if (choice === 'none' || (choice === 'auto' && resultIsLast)) return [];
  return typeof choice === 'object' ? offered.filter(({ name }) => choice.names.includes(name)) : offered;
}

export const anyObject: JsonSchema = { type: 'object', properties: { answer: { type: 'string' } } };

/** How much a model thinks that was told to think, but not how much. */
export const defaultReasoningTokens = 48;
