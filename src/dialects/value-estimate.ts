import { asArray, asObject } from './json.ts';
import type { TextEstimate } from './text-estimate.ts';

/** Brackets, quotes and commas around a member or an element of JSON, as models see it. */
const tokensPerJsonValue = 2;

/** Adds up everything in a value that a model might be shown. Without recursion: a body may nest deeper than the stack. */
export function addValue(estimate: TextEstimate, root: unknown): void {
  const left: unknown[] = [root];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === 'string') estimate.add(value);
    const object = asObject(value);
    for (const name in object) estimate.add(name);
    const inner = asArray(value) ?? Object.values(object ?? {});
    estimate.addTokens(tokensPerJsonValue * Math.max(1, inner.length));
    for (const member of inner) left.push(member);
  }
}

/** What a model family's template puts into every prompt, unseen by who sends the request. */
interface Template {
  readonly models: RegExp;
  /** To start the prompt and the answer: a date, instructions. */
  readonly request: number;
  /** More of it where there are tools: how to call them. */
  readonly tools: number;
}

/** At most, as recorded answers show it. The first that matches the model's name counts, and the last one always does. */
const templates: readonly Template[] = [
  { models: /grok-4\.3/i, request: 200, tools: 250 },
  { models: /grok-4(?!.*fast)/i, request: 720, tools: 350 },
  { models: /grok-3/i, request: 12, tools: 350 },
  { models: /grok/i, request: 180, tools: 350 },
  { models: /gpt-oss/i, request: 80, tools: 120 },
  { models: /llama-?4/i, request: 40, tools: 660 },
  { models: /llama/i, request: 40, tools: 150 },
  { models: /claude/i, request: 30, tools: 560 },
  { models: /deepseek-v4/i, request: 90, tools: 180 },
  { models: /deepseek/i, request: 12, tools: 180 },
  { models: /minimax|qwen/i, request: 40, tools: 150 },
  { models: /stral/i, request: 14, tools: 100 },
  { models: /gpt-[5-9]/i, request: 8, tools: 140 },
  { models: /(?:)/, request: 8, tools: 60 },
];

/** Tokens of the template that nobody sees: of every request, and more of it where there are tools. */
export function templateTokens(model: string, hasTools: boolean): number {
  const template = templates.find(({ models }) => models.test(model));
  return (template?.request ?? 0) + (hasTools ? (template?.tools ?? 0) : 0);
}
