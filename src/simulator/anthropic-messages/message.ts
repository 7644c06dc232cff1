import type { Answer, Choice } from '../answer.ts';
import type { UsageFault } from '../directives.ts';
import { noPieces, type Pieces, textOf } from '../pieces.ts';
import { toldUsage, type Usage, usageMember } from '../usage.ts';
import { usageObject } from './usage.ts';

/** One block of a message's content, with the text that grows in a stream. */
export type Block =
  | { readonly kind: 'thinking'; readonly text: Pieces; readonly signature: string }
  | { readonly kind: 'redacted_thinking'; readonly text: Pieces; readonly data: string }
  | { readonly kind: 'text'; readonly text: Pieces }
  | { readonly kind: 'tool_use'; readonly text: Pieces; readonly id: string; readonly name: string };

/** An answer as the blocks that Anthropic makes of it. */
export function blocksOf({ choices, key, tellsReasoning }: Answer): readonly Block[] {
  const [choice] = choices;
  if (choice === undefined) return [];
  const { reasoning, message, end } = choice;
  const blocks: Block[] = [];
  if (reasoning.tokens > 0) {
    const sealed = Buffer.from(`${key}thought`).toString('base64');
    blocks.push(
      tellsReasoning
        ? { kind: 'thinking', text: reasoning, signature: sealed }
        : { kind: 'redacted_thinking', text: noPieces, data: sealed },
    );
  }
  if (message.kind === 'tool_calls') {
    for (const { key: callKey, name, callArguments } of message.calls) {
      blocks.push({ kind: 'tool_use', text: callArguments, id: `toolu_${callKey}`, name });
    }
  } else if (message.text.tokens > 0 || end !== 'length') {
    blocks.push({ kind: 'text', text: message.text });
  }
  return blocks;
}

/** An answer as one body. */
export function messageBody(answer: Answer, fault: UsageFault | null): string {
  const told = toldUsage(answer.usage, fault);
  const [choice] = answer.choices;
  return JSON.stringify(messageJson(answer, blocksOf(answer).map(blockJson), stopReasonOf(choice), told));
}

/** Anthropic's `message` object; the one that starts a stream has no content and no reason yet. */
export function messageJson(
  answer: Answer,
  content: readonly object[],
  stopReason: string | null,
  told: Usage | null | undefined,
) {
  return {
    id: `msg_${answer.key}`,
    type: 'message',
    role: 'assistant',
    model: answer.model,
    content,
    stop_reason: stopReason,
    stop_sequence: null,
    ...usageMember('usage', told, usageObject),
  };
}

function blockJson(block: Block) {
  switch (block.kind) {
    case 'thinking':
      return { type: block.kind, thinking: textOf(block.text), signature: block.signature };
    case 'redacted_thinking':
      return { type: block.kind, data: block.data };
    case 'text':
      return { type: block.kind, text: textOf(block.text) };
    case 'tool_use':
      return { type: block.kind, id: block.id, name: block.name, input: inputOf(block.text) };
  }
}

/** Arguments that a maximum has cut are no JSON, and then the input is empty. */
function inputOf(callArguments: Pieces): unknown {
  try {
    return JSON.parse(textOf(callArguments));
  } catch {
    return {};
  }
}

const stopReasons = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use', refusal: 'refusal' };

export function stopReasonOf(choice: Choice | undefined): string {
  return stopReasons[choice?.end ?? 'stop'];
}
