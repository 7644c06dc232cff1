import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, test } from 'vitest';
import { promptOf } from './openai-chat/prompt.ts';
import type { ChatRequest, Message } from './openai-chat/request.ts';
import { sentences, textOf } from './pieces.ts';
import { createPromptCounter } from './prompt-tokens.ts';

const plain = (text: string) => countTokens(text, { disallowedSpecial: new Set() });
const unlimited = Number.POSITIVE_INFINITY;

function count(messages: Message[], extra: Partial<ChatRequest> = {}, limit = unlimited) {
  return createPromptCounter().count(promptOf({ messages, tools: undefined, ...extra }), limit);
}

const oneMessage = (content: string): Message[] => [{ role: 'user', content }];
/** Three for the message, one for the role, three before the answer. */
const overhead = 7;

describe('the tokens of a prompt', () => {
  test('are those of the texts and roles, three a message, and three before the answer', () => {
    expect(count(oneMessage('Hello, world!'))).toBe(overhead + plain('Hello, world!'));
    expect(
      count([
        { role: 'system', content: 'Be terse.' },
        { role: 'user', content: 'What is the capital of France?' },
      ]),
    ).toBe(3 + (3 + 1 + plain('Be terse.')) + (3 + 1 + plain('What is the capital of France?')));
  });

  test('include names, parts, calls, and the definitions of tools', () => {
    const tools = [{ type: 'function', function: { name: 'add', parameters: { type: 'object' } } }];
    expect(
      count(
        [
          { role: 'user', name: 'ann', content: [{ type: 'text', text: 'Add one' }, { type: 'image_url' }] },
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ function: { name: 'add', arguments: '{"a":1}' } }],
          },
        ],
        { tools },
      ),
    ).toBe(
      3 +
        plain(JSON.stringify(tools)) +
        (3 + plain('user') + 1 + plain('ann') + plain('Add one') + 85) +
        (3 + plain('assistant') + plain('add') + plain('{"a":1}')),
    );
  });

  test('count the names of special tokens as the text that they are', () => {
    expect(count(oneMessage('<|endoftext|>'))).toBe(overhead + plain('<|endoftext|>'));
  });

  test('are exact for long texts too, whether remembered or not', () => {
    const remembered = textOf(sentences(1, 20_000));
    const tooLong = textOf(sentences(2, 90_000));
    expect(tooLong.length).toBeGreaterThan(262_144);
    expect(count(oneMessage(remembered))).toBe(overhead + 20_000);
    expect(count(oneMessage(tooLong))).toBe(overhead + 90_000);
  });

  test('are exact however the words stand apart', () => {
    for (const space of [
      ' ',
      ' '.repeat(63),
      '\n',
      ' \n\n  ',
      '\t ',
      '. ',
      ' 12 ',
      '\u00a0',
      '\r\n',
      ' 😊 ',
      "'s ",
    ]) {
      const text = `word${space}`.repeat(3000);
      expect(count(oneMessage(text)), JSON.stringify(space)).toBe(overhead + plain(text));
    }
  });

  test('are the same when the counter has seen the text before', () => {
    const counter = createPromptCounter();
    const prompt = promptOf({ messages: oneMessage('Twice the same'), tools: undefined });
    expect(counter.count(prompt, unlimited)).toBe(counter.count(prompt, unlimited));
  });

  test('are only followed until they exceed the limit, even in one run of 10 million letters', () => {
    const tokens = count(oneMessage('a'.repeat(10_000_000)), {}, 1000);
    expect(tokens).toBeGreaterThan(1000);
    expect(tokens).toBeLessThan(3000);
  });

  test('of an unbroken run are cut between characters, not within one', () => {
    const run = `a${'😊'.repeat(5000)}`;
    expect(count(oneMessage(run))).toBe(overhead + plain(run));
  });
});
