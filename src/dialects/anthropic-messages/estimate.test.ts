import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../json.ts';
import { estimateInputTokens } from './estimate.ts';
import { countablePrompt } from './prompt.ts';

const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });
const estimate = (request: JsonObject, model = 'claude-opus-5') => estimateInputTokens(request, model);
const bare = estimate(user(''));
const added = (content: unknown) => estimate(user(content)) - bare;
const words = 'The quick brown fox jumps over the lazy dog again and again. '.repeat(40);
const base64 = (length: number) => 'iVBORw0KGgo'.repeat(length / 11);

describe('the estimate of a prompt', () => {
  test('is the same for a text, a text block, and a list of them', () => {
    expect(added(words)).toBeGreaterThan(500);
    expect(added([{ type: 'text', text: words }])).toBe(added(words));
    const system = estimate({ ...user(''), system: [{ type: 'text', text: words }] });
    expect(system).toBe(estimate({ ...user(''), system: words }));
    expect(system).toBeGreaterThan(added(words));
  });

  test('newer models make more tokens of a text', () => {
    const ofModel = (model: string) => estimate(user(words), model);
    for (const older of ['claude-3-haiku-20240307', 'claude-sonnet-4-20250514', 'claude-opus-4-6']) {
      expect(ofModel(older), older).toBeLessThan(ofModel('claude-opus-5'));
    }
    for (const newer of ['claude-opus-4-7', 'claude-sonnet-5', 'ours']) {
      expect(ofModel(newer), newer).toBe(ofModel('claude-opus-5'));
    }
  });

  test('every message costs something, with or without text', () => {
    const messages = Array.from({ length: 101 }, () => ({ role: 'user', content: '' }));
    expect(estimate({ messages }) - bare).toBeGreaterThanOrEqual(400);
  });

  test('an image or a document is never counted as the text of its bytes', () => {
    const of = (type: string, data: string) => [{ type, source: { type: 'base64', media_type: 'x', data } }];
    expect(added(of('image', base64(1_100)))).toBeGreaterThan(0);
    expect(added(of('image', base64(1_100_000)))).toBeLessThan(50_000);
    expect(added(of('document', base64(1_100_000)))).toBeLessThan(300_000);
    expect(added(of('video', base64(1_100_000)))).toBeLessThan(300_000);
    expect(
      added([{ type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } }]),
    ).toBeGreaterThan(0);
    expect(added([{ type: 'document', source: { type: 'file', file_id: 'file_1' } }])).toBeGreaterThan(1_000);
  });

  test('a document of text is its text, of blocks its blocks', () => {
    const text = { type: 'document', title: 'T', source: { type: 'text', data: words } };
    const blocks = {
      type: 'document',
      source: { type: 'content', content: [{ type: 'text', text: words }] },
    };
    expect(added([text])).toBeGreaterThan(500);
    expect(added([blocks])).toBe(added(words));
  });

  test('what tools were called with and what they returned is part of it, however nested', () => {
    const call = { type: 'tool_use', id: 't', name: 'search', input: { query: words } };
    const result = { type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: words }] };
    expect(added([call])).toBeGreaterThan(500);
    expect(added([result])).toBeGreaterThan(500);
    const image = { type: 'image', source: { type: 'base64', data: base64(1_100_000) } };
    expect(added([{ type: 'tool_result', content: [image] }])).toBeLessThan(50_000);
    // A call's input is JSON, whatever it looks like.
    const lookalike = { type: 'image', source: { type: 'base64', data: words } };
    expect(added([{ type: 'tool_use', name: 'x', input: lookalike }])).toBeGreaterThan(500);
  });

  test('encrypted thinking and search results count by their length, not as a text of noise', () => {
    const noise = base64(44_000);
    for (const block of [
      { type: 'redacted_thinking', data: noise },
      { type: 'thinking', thinking: '', signature: noise },
      { type: 'web_search_tool_result', content: [{ type: 'web_search_result', encrypted_content: noise }] },
    ]) {
      expect(added([block]), block.type).toBeGreaterThanOrEqual(noise.length / 4);
      expect(added([block]), block.type).toBeLessThan(noise.length / 3);
    }
    expect(added([{ type: 'thinking', thinking: words, signature: noise }])).toBe(added(words));
  });

  test('tools cost their definitions, and those that Anthropic defines more than their names', () => {
    const withTool = (tool: JsonObject) => estimate({ ...user(''), tools: [tool] });
    const own = withTool({ name: 'x', description: words, input_schema: { type: 'object' } });
    expect(own - bare).toBeGreaterThan(900);
    expect(withTool({ type: 'computer_20251124', name: 'computer' }) - bare).toBeGreaterThan(1_300);
    const fetching = withTool({ type: 'web_fetch_20250910', name: 'web_fetch' });
    expect(fetching - bare).toBeGreaterThan(12_000);
    const bounded = withTool({ type: 'web_fetch_20250910', name: 'web_fetch', max_content_tokens: 100 });
    expect(bounded).toBeLessThan(fetching - 10_000);
  });

  test('a body that nests deeper than the stack is estimated all the same', () => {
    let content: unknown = 'Hi';
    for (let depth = 0; depth < 200_000; depth++) content = [{ type: 'tool_result', content }];
    expect(estimate(user(content))).toBeGreaterThan(0);
    expect(countablePrompt(user(content), 'claude').texts).toContain('Hi');
  });

  test.each([
    [null],
    [7],
    [[null, 7, 'x', [], {}]],
    [[{ type: 'image' }, { type: 'image', source: 7 }]],
    [[{ type: 'document', source: null }, { type: 'thinking' }, { type: 'tool_use', input: null }]],
  ])('%j in the place of content is no reason to fail', (content) => {
    expect(estimate(user(content))).toBeGreaterThan(0);
    expect(countablePrompt(user(content), 'claude').overhead).toBeGreaterThan(0);
    expect(estimate({ messages: content, system: content, tools: content })).toBeGreaterThan(0);
  });
});

describe('the prompt to count', () => {
  test('has every text that the model is shown, in order, and no bytes of an image', () => {
    const { texts } = countablePrompt(
      {
        system: 'S',
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'A' },
              { type: 'text', text: 'A2' },
              { type: 'image', source: { type: 'base64', data: 'zz' } },
            ],
          },
          { role: 'assistant', content: [{ type: 'tool_use', id: 'i', name: 'B', input: { c: 1 } }] },
          {
            role: 'user',
            content: [{ type: 'tool_result', tool_use_id: 'i', content: [{ type: 'text', text: 'D' }] }],
          },
        ],
        tools: [{ name: 'E' }],
        output_config: { format: { type: 'json_schema' } },
      },
      'claude',
    );
    expect(texts).toEqual(['S', 'A', 'A2', 'B', '{"c":1}', 'D', '{"name":"E"}', '{"type":"json_schema"}']);
  });

  test('counts what no request shows: tools, thinking, a format', () => {
    const overhead = (request: JsonObject) =>
      countablePrompt({ ...user(''), ...request }, 'claude-sonnet-4-5').overhead;
    const nothing = overhead({});
    expect(overhead({ thinking: { type: 'enabled', budget_tokens: 1_024 } })).toBe(nothing + 28);
    expect(overhead({ tools: [{}] })).toBe(nothing + 500);
    expect(overhead({ tools: [{}], tool_choice: { type: 'any' } })).toBeGreaterThan(
      overhead({ tools: [{}] }),
    );
    const named = (model: string) => countablePrompt(user(words), model).overhead;
    expect(named('claude-opus-5')).toBeGreaterThan(named('ours'));
    expect(named('ours')).toBeGreaterThan(named('claude-3-haiku'));
    const deferred = countablePrompt({ ...user(''), tools: [{ name: 'x', defer_loading: true }] }, 'claude');
    expect(deferred.texts).toEqual(['']);
    expect(overhead({ output_config: { format: {} } })).toBeGreaterThan(nothing + 100);
  });
});
