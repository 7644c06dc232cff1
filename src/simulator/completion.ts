import type { Answer, Choice } from './answer.ts';
import type { UsageFault } from './directives.ts';
import { textOf } from './pieces.ts';
import { usageJson, zeroUsage } from './usage.ts';

export const fingerprint = 'fp_simulator';

/** An answer as one body: OpenAI's `chat.completion`. */
export function completionBody(answer: Answer, usageFault: UsageFault | null): string {
  const body = JSON.stringify({
    id: answer.id,
    object: 'chat.completion',
    created: answer.created,
    model: answer.model,
    choices: answer.choices.map((choice, index) => ({
      index,
      message: messageOf(choice, answer.reasoningField),
      logprobs: null,
      finish_reason: choice.finishReason,
    })),
    service_tier: 'default',
    system_fingerprint: fingerprint,
  });
  const usage = finalUsage(answer, usageFault);
  return usage === null ? body : `${body.slice(0, -1)},"usage":${usage}}`;
}

/** The usage that ends an answer, as JSON; null when a fault withholds it. */
export function finalUsage(answer: Answer, usageFault: UsageFault | null): string | null {
  switch (usageFault) {
    case 'no_usage':
      return null;
    case 'null_usage':
      return 'null';
    case 'zero_usage':
      return usageJson(zeroUsage);
    case 'usage_every_chunk':
    case null:
      return usageJson(answer.usage);
  }
}

function messageOf({ message, reasoning }: Choice, reasoningField: Answer['reasoningField']) {
  const base = { role: 'assistant', content: null, refusal: null, annotations: [] };
  const thought =
    reasoning.tokens > 0 && reasoningField !== 'hidden' ? { [reasoningField]: textOf(reasoning) } : {};
  if (message.kind === 'tool_calls') {
    const calls = message.calls.map(({ id, name, callArguments }) => ({
      id,
      type: 'function',
      function: { name, arguments: textOf(callArguments) },
    }));
    return { ...base, ...thought, tool_calls: calls };
  }
  return { ...base, ...thought, [message.kind]: textOf(message.text) };
}
