import { type Prompt, PromptDraft } from '../prompt-tokens.ts';
import type { Content, GenerateRequest } from './request.ts';

/** The definitions of tools as their JSON, the system's instruction, and then the contents. */
export function promptOf({ contents, systemInstruction, tools }: GenerateRequest): Prompt {
  const prompt = new PromptDraft();
  if (tools && tools.length > 0) prompt.addJson(tools);
  if (systemInstruction) addContent(prompt, { ...systemInstruction, role: 'system' });
  for (const content of contents) addContent(prompt, content);
  return prompt;
}

function addContent(prompt: PromptDraft, { role, parts }: Content): void {
  prompt.addMessage(role ?? 'user');
  for (const { text, functionCall, functionResponse } of parts ?? []) {
    const called = functionCall ?? functionResponse;
    if (text !== undefined) {
      prompt.addText(text);
    } else if (called === undefined) {
      prompt.addOther();
    } else {
      prompt.addText(called.name ?? '');
      prompt.addJson(functionCall?.args ?? functionResponse?.response ?? {});
    }
  }
}
