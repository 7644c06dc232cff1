import { describe, expect, test } from 'vitest';
import { countablePrompt } from './prompt.ts';

const user = { role: 'user', content: 'Hi' };
const system = { role: 'system', content: 'Be brief.' };
const tools = [{ type: 'function', function: { name: 'look', parameters: {} } }];
const schema = { type: 'object', properties: { a: { type: 'string', minimum: 1 } }, required: ['a'] };
const format = { type: 'json_schema', json_schema: { name: 'Answer', schema } };

const overhead = (request: Parameters<typeof countablePrompt>[0]) => countablePrompt(request).overhead;

describe('a prompt as OpenAI counts it', () => {
  test('has three tokens a message and three for the answer', () => {
    expect(countablePrompt({ messages: [system, user] })).toEqual({
      texts: ['system', 'Be brief.', 'user', 'Hi'],
      overhead: 9,
    });
  });

  test('has less around tools and schemas where a system message takes them in', () => {
    const apart = overhead({ messages: [user], tools }) - overhead({ messages: [user] });
    const joined = overhead({ messages: [system, user], tools }) - overhead({ messages: [system, user] });
    expect([apart, joined]).toEqual([9, 6]);
    const formats = [[user], [{ ...system, role: 'developer' }, user]].map(
      (messages) => overhead({ messages, response_format: format }) - overhead({ messages }),
    );
    expect(formats).toEqual([8, 4]);
  });

  test('of a model that reasons takes one token less, and other ones around tools and schemas', () => {
    const chat = { model: 'openai/gpt-5-mini', messages: [system, user] };
    expect([overhead(chat), overhead({ ...chat, model: 'gpt-4o' })]).toEqual([8, 9]);
    const reasoner = { ...chat, model: 'o4-mini' };
    expect(overhead({ ...reasoner, tools }) - overhead(reasoner)).toBe(9);
    expect(overhead({ ...chat, tools }) - overhead(chat)).toBe(9 + 81);
    const apart = { ...chat, messages: [user] };
    expect(overhead({ ...apart, response_format: format }) - overhead(apart)).toBe(4);
  });

  test('names the function that has to be called', () => {
    const choice = { type: 'function', function: { name: 'look' } };
    expect(countablePrompt({ messages: [user], tools, tool_choice: choice }).texts.at(-1)).toBe('look');
    expect(overhead({ messages: [user], tools, tool_choice: 'required' })).toBe(
      overhead({ messages: [user], tools }),
    );
  });

  test('shows a schema without what only constrains it, unless that is the name of a property', () => {
    const { texts } = countablePrompt({ messages: [user], response_format: format });
    expect(texts.at(-1)).toBe(
      '# Response Formats\n\n## Answer\n\n{"type":"object","properties":{"a":{"type":"string"}}}',
    );
    const named = { ...format, json_schema: { schema: { properties: { minimum: { type: 'number' } } } } };
    expect(countablePrompt({ messages: [user], response_format: named }).texts.at(-1)).toContain('minimum');
  });

  test('shows calls that were made before as the model made them', () => {
    const call = (name: string) => ({ function: { name, arguments: '{ "q": 1 }' } });
    const made = (...tool_calls: object[]) =>
      countablePrompt({ messages: [{ role: 'assistant', tool_calls }] }).texts.slice(1);
    expect(made(call('a'))).toEqual(['a', '{"q":1}']);
    expect(made(call('a'), call('b'))).toEqual([
      '{"tool_uses":[{"recipient_name":"functions.a","parameters":{"q":1}},{"recipient_name":"functions.b","parameters":{"q":1}',
    ]);
  });

  test('says so where there is more to it than text', () => {
    const withParts = (...content: object[]) => countablePrompt({ messages: [{ role: 'user', content }] });
    expect(withParts({ type: 'text', text: 'Hi' })).toEqual({ texts: ['user', 'Hi'], overhead: 6 });
    expect(withParts({ type: 'text', text: 'Hi' }, { type: 'image_url', image_url: {} }).hasMore).toBe(true);
  });

  test('of any shape is counted', () => {
    let deep: unknown = {};
    for (let level = 0; level < 50_000; level++) deep = { items: deep };
    for (const request of [
      {},
      {
        messages: [null, { content: [null, 3] }],
        tools: [null],
        functions: [7],
        tool_choice: { function: 3 },
      },
      { response_format: { json_schema: { schema: deep } } },
    ]) {
      expect(Number.isSafeInteger(overhead(request))).toBe(true);
    }
  });

  test('has the documents that a template puts into it, and then more than can be counted', () => {
    const documents = [{ title: 'One', text: 'First.' }, 'Second.', 7, null];
    const { texts, hasMore } = countablePrompt({ messages: [user], documents });
    expect(texts).toEqual(['user', 'Hi', 'One', 'First.', 'Second.']);
    expect(hasMore).toBe(true);
    for (const own of [{ chat_template: '…' }, { chat_template_kwargs: { a: 'b' } }]) {
      expect(countablePrompt({ messages: [user], ...own }).hasMore).toBe(true);
    }
    expect(countablePrompt({ messages: [user], documents: null })).not.toHaveProperty('hasMore');
  });
});
