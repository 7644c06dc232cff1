import type { ApiError, Parsed } from '../errors.ts';
import { invalidRequest } from '../openai/wording.ts';
import { type Prompt, PromptDraft } from '../prompt-tokens.ts';
import type { Memory } from './memory.ts';
import { type InputItem, itemsOf, type ResponsesRequest } from './request.ts';

/**
 * What is sent, and before it what is remembered of earlier answers.
 * @returns OpenAI's refusal where something is to be remembered that isn't
 */
export function promptOf(request: ResponsesRequest, memory: Memory): Parsed<Prompt> {
  const prompt = new PromptDraft();
  const { tools, instructions, input, previous_response_id: previous } = request;
  if (previous !== null && previous !== undefined) {
    const remembered = memory.tokensOf(previous);
    if (remembered === undefined) return { ok: false, error: noSuchResponse(previous) };
    prompt.otherTokens += remembered;
  }
  if (tools && tools.length > 0) prompt.addJson(tools);
  if (instructions) {
    prompt.addMessage('developer');
    prompt.addText(instructions);
  }
  if (typeof input === 'string') {
    prompt.addMessage('user');
    prompt.addText(input);
  }
  for (const item of itemsOf(request)) {
    if (item.type === 'item_reference') {
      const remembered = memory.tokensOf(item.id ?? '');
      if (remembered === undefined) return { ok: false, error: noSuchItem(item.id ?? '') };
      prompt.otherTokens += remembered;
    } else {
      addItem(prompt, item);
    }
  }
  return { ok: true, value: prompt };
}

function addItem(prompt: PromptDraft, { role, content, name, output, summary, ...item }: InputItem): void {
  prompt.addMessage(role ?? item.type ?? '');
  addParts(prompt, content);
  addParts(prompt, summary);
  if (name !== undefined) prompt.addText(name);
  addValue(prompt, item.arguments);
  addValue(prompt, output);
}

/** Text as it is, and anything else as its JSON. */
function addValue(prompt: PromptDraft, value: unknown): void {
  if (typeof value === 'string') prompt.addText(value);
  else if (value !== undefined && value !== null) prompt.addJson(value);
}

function addParts(prompt: PromptDraft, parts: InputItem['content']): void {
  if (typeof parts === 'string') {
    prompt.addText(parts);
    return;
  }
  for (const { text } of parts ?? []) {
    if (text === undefined) prompt.addOther();
    else prompt.addText(text);
  }
}

function noSuchResponse(id: string): ApiError {
  return invalidRequest(
    `Previous response with id '${id}' not found.`,
    'previous_response_id',
    'previous_response_not_found',
  );
}

function noSuchItem(id: string): ApiError {
  return { ...invalidRequest(`Item with id '${id}' not found.`, 'input'), status: 404 };
}
