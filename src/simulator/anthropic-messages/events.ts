import type { Answer } from '../answer.ts';
import type { Directives } from '../directives.ts';
import type { AnswerEvent } from '../format.ts';
import { grouped } from '../pieces.ts';
import { toldUsage, usageMember } from '../usage.ts';
import { type Block, blocksOf, messageJson, stopReasonOf } from './message.ts';
import { deltaUsageObject } from './usage.ts';
import { anthropicWording } from './wording.ts';

/** The output tokens that a stream begins with: Anthropic's first count is small, but not zero, and the last one has it in it. */
const firstOutputTokens = 1;

/**
 * An answer as Anthropic streams it: the message without content, its blocks from start to stop with
 * deltas in between, the reason and the whole usage, and the stop. Made while it is walked.
 */
export function* answerEvents(answer: Answer, directives: Directives): Generator<AnswerEvent> {
  const { usage: fault } = directives.fault;
  const { usage } = answer;
  const completionTokens = Math.min(firstOutputTokens, usage.completionTokens);
  const begun = toldUsage({ ...usage, completionTokens, reasoningTokens: 0 }, fault);
  yield event('message_start', { message: messageJson(answer, [], null, begun) });
  for (const [index, block] of blocksOf(answer).entries()) {
    yield event('content_block_start', { index, content_block: startOf(block) });
    if (index === 0) yield event('ping', {});
    yield* deltasOf(block, index, directives.tokens_per_event);
    yield event('content_block_stop', { index });
  }
  yield event('message_delta', {
    delta: { stop_reason: stopReasonOf(answer.choices[0]), stop_sequence: null },
    ...usageMember('usage', toldUsage(usage, fault), deltaUsageObject),
  });
  yield { ...event('message_stop', {}), closes: true };
}

export function* failureEvents(): Generator<AnswerEvent> {
  const { type, message } = anthropicWording.serverError();
  yield event('error', { error: { type, message } });
}

function event(type: string, members: object): AnswerEvent {
  return { type, data: JSON.stringify({ type, ...members }), tokens: 0 };
}

function startOf(block: Block) {
  switch (block.kind) {
    case 'thinking':
      return { type: block.kind, thinking: '', signature: '' };
    case 'redacted_thinking':
      return { type: block.kind, data: block.data };
    case 'text':
      return { type: block.kind, text: '' };
    case 'tool_use':
      return { type: block.kind, id: block.id, name: block.name, input: {} };
  }
}

/** The type of a block's deltas, and the member that carries their text. */
const deltaTypes: Readonly<Record<Block['kind'], readonly [type: string, member: string]>> = {
  thinking: ['thinking_delta', 'thinking'],
  redacted_thinking: ['thinking_delta', 'thinking'],
  text: ['text_delta', 'text'],
  tool_use: ['input_json_delta', 'partial_json'],
};

function* deltasOf(block: Block, index: number, tokensPerEvent: number): Generator<AnswerEvent> {
  const [type, member] = deltaTypes[block.kind];
  const name = 'content_block_delta';
  const head = `{"type":"${name}","index":${index},"delta":{"type":`;
  for (const { json, tokens } of grouped(block.text, tokensPerEvent)) {
    yield { type: name, data: `${head}"${type}","${member}":"${json}"}}`, tokens };
  }
  if (block.kind === 'thinking') {
    yield { type: name, data: `${head}"signature_delta","signature":"${block.signature}"}}`, tokens: 0 };
  }
}
