import type { Answer, Choice } from '../answer.ts';
import type { Directives } from '../directives.ts';
import { textOf } from '../pieces.ts';
import { toldUsage, usageMember } from '../usage.ts';
import { usageObject } from './usage.ts';

export const fingerprint = 'fp_simulator';

export type FinishReason = 'stop' | 'length' | 'tool_calls';

/** An answer as one body: OpenAI's `chat.completion`. */
export function completionBody(
  answer: Answer,
  directives: Directives,
  finishReasonOf: (choice: Choice) => FinishReason,
): string {
  return JSON.stringify({
    id: `chatcmpl-${answer.key}`,
    object: 'chat.completion',
    created: answer.created,
    model: answer.model,
    choices: answer.choices.map((choice, index) => ({
      index,
      message: messageOf(choice, answer.tellsReasoning ? directives.reasoning_field : null),
      logprobs: null,
      finish_reason: finishReasonOf(choice),
    })),
    service_tier: 'default',
    system_fingerprint: fingerprint,
    ...usageMember('usage', toldUsage(answer.usage, directives.fault.usage), usageObject),
  });
}

/** @param reasoningMember the name under which reasoning is told; null where it isn't */
function messageOf({ message, reasoning }: Choice, reasoningMember: string | null) {
  const base = { role: 'assistant', content: null, refusal: null, annotations: [] };
  const thought =
    reasoning.tokens > 0 && reasoningMember !== null ? { [reasoningMember]: textOf(reasoning) } : {};
  if (message.kind === 'tool_calls') {
    const calls = message.calls.map(({ key, name, callArguments }) => ({
      id: `call_${key}`,
      type: 'function',
      function: { name, arguments: textOf(callArguments) },
    }));
    return { ...base, ...thought, tool_calls: calls };
  }
  return { ...base, ...thought, [message.kind]: textOf(message.text) };
}
