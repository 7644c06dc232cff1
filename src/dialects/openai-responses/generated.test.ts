import { describe, expect, test } from 'vitest';
import { GeneratedText } from './generated.ts';

function textsOf(...output: unknown[]): readonly string[] {
  const generated = new GeneratedText();
  generated.setOutput(output);
  return generated.countable(false).texts;
}

describe('text of whole output items', () => {
  test('is everything that the model wrote, of every kind of item', () => {
    expect(
      textsOf(
        {
          type: 'reasoning',
          summary: [{ type: 'summary_text', text: 'in short' }],
          content: [{ type: 'reasoning_text', text: 'at length' }],
        },
        {
          type: 'message',
          role: 'assistant',
          content: [
            { type: 'output_text', text: 'Hello' },
            { type: 'refusal', refusal: 'I will not.' },
            { type: 'output_audio', transcript: 'spoken' },
          ],
        },
        { type: 'mcp_call', name: 'look', arguments: '{"a":1}', output: 'what came back' },
        { type: 'code_interpreter_call', code: 'print(1)', outputs: [{ type: 'logs', logs: '1' }] },
        {
          type: 'web_search_call',
          action: { type: 'search', query: 'weather', sources: [{ url: 'https://x.test' }] },
        },
        { type: 'file_search_call', queries: ['one'], results: [{ text: 'found' }] },
        { type: 'shell_call', action: { commands: ['ls', 'pwd'], timeout_ms: 9 } },
        { type: 'image_generation_call', result: 'iVBORw0KGgo', revised_prompt: 'a cat' },
      ),
    ).toEqual([
      'at length',
      'in short',
      'Hello',
      'I will not.',
      'spoken',
      'look',
      '{"a":1}',
      'print(1)',
      'weather',
      '["one"]',
      'ls',
      'pwd',
      'a cat',
    ]);
  });

  test('is not what tools gave back', () => {
    expect(
      textsOf(
        { type: 'function_call_output', output: 'x', name: 'x' },
        { type: 'shell_call_output', output: [{ stdout: 'x' }], input: 'x' },
        { type: 'mcp_list_tools', name: 'x', tools: [] },
      ),
    ).toEqual([]);
  });

  test('calls of functions have an overhead, which a text before them enlarges', () => {
    const call = { type: 'function_call', name: 'find', arguments: '{"q": 1}' };
    const generated = new GeneratedText();
    generated.setOutput([call]);
    expect(generated.countable(false)).toEqual({ texts: ['find', '{"q":1}'], overhead: 7 });
    generated.setOutput([{ type: 'message', content: [{ text: 'Well' }] }, call]);
    expect(generated.countable(false)).toEqual({ texts: ['Well', 'find', '{"q":1}'], overhead: 10 });
  });

  test('of a call that was forced only the arguments are written', () => {
    const generated = new GeneratedText();
    generated.setOutput([{ type: 'function_call', name: 'find', arguments: '{"q": 1}' }]);
    expect(generated.countable(true)).toEqual({ texts: ['{"q": 1}'], overhead: 0 });
  });

  test('junk is no text, but an item without text is output all the same', () => {
    const generated = new GeneratedText();
    generated.setOutput([7, null, 'text', []]);
    expect(generated.isEmpty).toBe(true);
    generated.setOutput([
      { type: 'reasoning', summary: 7, content: [7, { text: 8 }], encrypted_content: 'gAAA' },
    ]);
    expect(generated.isEmpty).toBe(false);
    expect(generated.countable(false)).toEqual({ texts: [], overhead: 0 });
  });

  test('a list with more members than a call has arguments is read', () => {
    const commands = new Array(300_000).fill('a');
    expect(textsOf({ type: 'shell_call', action: { commands } })).toHaveLength(300_000);
  });
});

describe('text of a stream', () => {
  test('pieces of one text are joined, and texts kept apart', () => {
    const generated = new GeneratedText();
    generated.addDelta(0, 'output_text/0', 'Hel');
    generated.addDelta(1, 'output_text/0', 'other item');
    generated.addDelta(0, 'output_text/1', 'other part');
    generated.addDelta(0, 'output_text/0', 'lo');
    expect(generated.countable(false).texts).toEqual(['Hello', 'other part', 'other item']);
  });

  test('what comes whole takes the place of its deltas, and never counts beside them', () => {
    const generated = new GeneratedText();
    const item = { type: 'message', content: [{ text: 'Hello world' }] };
    generated.addDelta(0, 'output_text/0', 'Hel');
    generated.setText(0, 'output_text/0', 'Hello');
    expect(generated.countable(false).texts).toEqual(['Hello']);
    generated.setItem(0, item);
    expect(generated.countable(false).texts).toEqual(['Hello world']);
    // At another place than in the stream, as some providers leave items out at the end.
    generated.setOutput([{ type: 'reasoning', summary: [] }, item]);
    expect(generated.countable(false).texts).toEqual(['Hello world']);
  });

  test('what comes whole with less text than its deltas does not take their place', () => {
    const generated = new GeneratedText();
    generated.addDelta(0, 'reasoning_text/0', 'a long thought');
    generated.setText(0, 'reasoning_text/0', 'short');
    generated.setItem(0, { type: 'reasoning', summary: [{ text: 'short' }] });
    generated.setOutput([]);
    expect(generated.countable(false).texts).toEqual(['a long thought']);
  });

  test('a call has its name from where it begins', () => {
    const generated = new GeneratedText();
    generated.beginItem(0, { type: 'function_call', name: 'find', arguments: '' });
    generated.addDelta(0, 'function_call_arguments/0', '{"q":');
    expect(generated.countable(false)).toEqual({ texts: ['find', '{"q":'], overhead: 7 });
  });

  test('arguments are without blanks between their parts, wherever they are cut off', () => {
    const generated = new GeneratedText();
    const whole = '{ "a b" :\n[1, "c \\" d"] }';
    let before = 0;
    generated.beginItem(0, { type: 'function_call', name: 'f' });
    for (const piece of whole) {
      generated.addDelta(0, 'function_call_arguments/0', piece);
      const length = generated.countable(false).texts.join('').length;
      expect(length).toBeGreaterThanOrEqual(before);
      before = length;
    }
    expect(generated.countable(false).texts).toEqual(['f', '{"a b":[1,"c \\" d"]}']);
  });
});
