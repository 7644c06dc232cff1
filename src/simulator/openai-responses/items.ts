import type { Answer, Choice } from '../answer.ts';
import { type Pieces, textOf } from '../pieces.ts';

/** One item of a response's output. */
export type OutputItem =
  | { readonly kind: 'reasoning'; readonly id: string; readonly text: Pieces; readonly isTold: boolean }
  | {
      readonly kind: 'message';
      readonly id: string;
      readonly part: 'output_text' | 'refusal';
      readonly text: Pieces;
    }
  | {
      readonly kind: 'function_call';
      readonly id: string;
      readonly callId: string;
      readonly name: string;
      readonly text: Pieces;
    };

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** An answer as the items that OpenAI makes of it, each with an id of its own. */
export function outputItems(answer: Answer): readonly OutputItem[] {
  const [choice] = answer.choices;
  if (choice === undefined) return [];
  const { reasoning, message } = choice;
  const items: OutputItem[] = [];
  const nextId = (prefix: string) => `${prefix}_${answer.key}${items.length}`;
  if (reasoning.tokens > 0) {
    items.push({ kind: 'reasoning', id: nextId('rs'), text: reasoning, isTold: answer.tellsReasoning });
  }
  if (message.kind === 'tool_calls') {
    for (const { key, name, callArguments } of message.calls) {
      const callId = `call_${key}`;
      items.push({ kind: 'function_call', id: nextId('fc'), callId, name, text: callArguments });
    }
  } else if (!endsWithinReasoning(choice)) {
    const part = message.kind === 'refusal' ? 'refusal' : 'output_text';
    items.push({ kind: 'message', id: nextId('msg'), part, text: message.text });
  }
  return items;
}

/** Then the message was never begun. */
function endsWithinReasoning({ end, reasoning, message }: Choice): boolean {
  return (
    end === 'length' && reasoning.tokens > 0 && message.kind !== 'tool_calls' && message.text.tokens === 0
  );
}

/** @param isEmpty whether it is shown as it begins */
export function itemJson(item: OutputItem, status: ItemStatus, isEmpty = false) {
  const text = isEmpty ? '' : textOf(item.text);
  switch (item.kind) {
    case 'reasoning':
      return { id: item.id, type: 'reasoning', summary: item.isTold && !isEmpty ? [summaryPart(text)] : [] };
    case 'message':
      return {
        id: item.id,
        type: 'message',
        status,
        content: isEmpty ? [] : [contentPart(item.part, text)],
        role: 'assistant',
      };
    case 'function_call':
      return {
        id: item.id,
        type: 'function_call',
        status,
        arguments: text,
        call_id: item.callId,
        name: item.name,
      };
  }
}

export function summaryPart(text: string) {
  return { type: 'summary_text', text };
}

export function contentPart(part: 'output_text' | 'refusal', text: string) {
  return part === 'refusal'
    ? { type: part, refusal: text }
    : { type: part, annotations: [], logprobs: [], text };
}
