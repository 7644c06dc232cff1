import { describe, expect, test } from 'vitest';
import { countablePrompt } from './prompt.ts';

describe('the prompt as text to count', () => {
  test('three an item, three for the answer; instructions are a message before the others', () => {
    expect(countablePrompt({ instructions: 'Be brief.', input: 'Hello' })).toEqual({
      texts: ['system', 'Be brief.', 'user', 'Hello'],
      overhead: 2 * 3 + 3,
    });
    const input = [
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'One' },
          { type: 'input_image', image_url: 'data:…' },
          { type: 'input_text', text: 'Two' },
        ],
      },
      { type: 'message', role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] },
    ];
    expect(countablePrompt({ input })).toEqual({
      texts: ['user', 'One', 'Two', 'assistant', 'No.'],
      overhead: 2 * 3 + 3,
      hasMore: true,
    });
  });

  test('calls made at once are one message, and what they gave back is one each', () => {
    const call = (name: string) => ({ type: 'function_call', call_id: name, name, arguments: '{"q": 1}' });
    const result = { type: 'function_call_output', call_id: 'a', output: 'found' };
    const one = countablePrompt({ input: [call('a'), result] });
    expect(one.texts).toEqual(['assistant', 'a', '{"q":1}', 'tool', 'found']);
    const two = countablePrompt({ input: [call('a'), call('b'), result, call('c')] });
    expect(two.texts.filter((text) => text === 'assistant')).toHaveLength(2);
    expect(two.texts.join()).toContain('functions.b');
  });

  test('reasoning that can be read is part of it, and what is encrypted by its length', () => {
    const open = { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'a thought' }] };
    expect(countablePrompt({ input: [open] }).texts).toEqual(['assistant', 'a thought']);
    const closed = {
      type: 'reasoning',
      summary: [{ text: 'in short' }],
      encrypted_content: 'g'.repeat(2_100),
    };
    expect(countablePrompt({ input: [closed] })).toEqual({ texts: [], overhead: 3 + 200 });
  });

  test('definitions of functions, also in a namespace, and a schema for the answer are part of it', () => {
    const { texts } = countablePrompt({
      input: 'x',
      tools: [
        { type: 'function', name: 'find', parameters: { type: 'object' } },
        { type: 'namespace', name: 'more', tools: [{ type: 'function', name: 'seek' }] },
        { type: 'web_search' },
      ],
      text: { format: { type: 'json_schema', name: 'shape', schema: { type: 'object' } } },
    });
    expect(texts.join('\n')).toMatch(/type find = .*type seek = .*shape.*\{"type":"object"\}/s);
  });

  test('junk is no text', () => {
    const junk = {
      instructions: 7,
      input: [{}, { type: 7 }, { type: 'message', content: 7 }],
      tools: 7,
      text: 7,
    };
    expect(() => countablePrompt(junk)).not.toThrow();
    expect(countablePrompt({ input: 7 })).toEqual({ texts: [], overhead: 3 });
  });

  test('calls side by side without end are counted', () => {
    const call = { type: 'function_call', name: 'f', arguments: '{}' };
    const { texts } = countablePrompt({ input: new Array(100_000).fill(call) });
    expect(texts.length).toBeGreaterThan(0);
  });
});
