import { type Prompt, PromptDraft } from '../prompt-tokens.ts';
import type { ContentBlock, MessagesPrompt } from './request.ts';

/** The definitions of tools as their JSON, the system's message, and then the others. */
export function promptOf({ messages, system, tools }: MessagesPrompt): Prompt {
  const prompt = new PromptDraft();
  if (tools && tools.length > 0) prompt.addJson(tools);
  if (system !== null && system !== undefined) {
    prompt.addMessage('system');
    if (typeof system === 'string') prompt.addText(system);
    else for (const { text } of system) prompt.addText(text ?? '');
  }
  for (const { role, content } of messages) {
    prompt.addMessage(role);
    if (typeof content === 'string') prompt.addText(content);
    else for (const block of content) addBlock(prompt, block);
  }
  return prompt;
}

function addBlock(prompt: PromptDraft, block: ContentBlock): void {
  switch (block.type) {
    case 'text':
      prompt.addText(block.text ?? '');
      break;
    case 'tool_use':
      prompt.addText(block.name ?? '');
      prompt.addJson(block.input ?? {});
      break;
    case 'tool_result':
      addResult(prompt, block.content);
      break;
    case 'thinking':
    case 'redacted_thinking':
      // What was thought before is dropped from the prompt.
      break;
    default:
      prompt.addOther();
  }
}

function addResult(prompt: PromptDraft, content: unknown): void {
  if (typeof content === 'string') prompt.addText(content);
  if (!Array.isArray(content)) return;
  for (const part of content) {
    const text: unknown = typeof part === 'object' && part !== null ? Reflect.get(part, 'text') : undefined;
    if (typeof text === 'string') prompt.addText(text);
    else prompt.addOther();
  }
}
