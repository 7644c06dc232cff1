import { type Prompt, PromptDraft } from '../prompt-tokens.ts';
import type { ChatRequest, Message } from './request.ts';

/** The definitions of tools as their JSON, and then the messages. */
export function promptOf({ messages, tools }: Pick<ChatRequest, 'messages' | 'tools'>): Prompt {
  const prompt = new PromptDraft();
  if (tools) prompt.addJson(tools);
  for (const message of messages) addMessage(prompt, message);
  return prompt;
}

function addMessage(prompt: PromptDraft, { role, name, content, tool_calls: calls }: Message): void {
  prompt.addMessage(role);
  if (name !== undefined) prompt.addName(name);
  if (typeof content === 'string') {
    prompt.addText(content);
  } else {
    for (const { text } of content ?? []) {
      if (text === undefined) prompt.addOther();
      else prompt.addText(text);
    }
  }
  for (const call of calls ?? []) {
    if (!call.function) continue;
    prompt.addText(call.function.name);
    prompt.addText(call.function.arguments);
  }
}
