import { describe, expect, test } from 'vitest';
import type { DialectRequest } from '../dialect.ts';
import { readAnswer } from './answer.ts';
import { readRequest } from './request.ts';

function requestOf(others: Record<string, unknown> = {}): DialectRequest {
  const body = {
    model: 'claude-sonnet-4-5',
    max_tokens: 9,
    messages: [{ role: 'user', content: 'Hi' }],
    ...others,
  };
  const call = { path: '', query: new URLSearchParams(), body: Buffer.from(JSON.stringify(body)) };
  const request = readRequest(call);
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

const read = (answer: unknown, request = requestOf()) =>
  readAnswer(Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)), { request });
const usage = { input_tokens: 9, output_tokens: 4 };
const text = { type: 'text', text: 'Hello' };

describe('a whole answer', () => {
  test('its usage, its text, its stop reason and its tier are read', () => {
    const reported = { ...usage, service_tier: 'priority' };
    const answer = {
      type: 'message',
      id: 'msg_1',
      content: [text],
      stop_reason: 'end_turn',
      usage: reported,
    };
    expect(read(answer)).toMatchObject({
      usage: { input: 9, output: 4 },
      otherModels: [],
      generated: { texts: ['Hello'] },
      finishReason: 'end_turn',
      error: null,
      serviceTier: 'priority',
      reported,
      answerId: null,
    });
  });

  test.each([
    [{ service_tier: 'standard', inference_geo: 'us' }, 'us'],
    [{ service_tier: 'priority', inference_geo: 'us' }, 'priority_us'],
    [{ speed: 'fast', service_tier: 'standard', inference_geo: 'us' }, 'fast_us'],
    [{ service_tier: 'standard', inference_geo: 'not_available' }, 'standard'],
    [{ speed: 'fast', inference_geo: 'global' }, 'fast'],
    [{}, null],
  ])('its tier has the place to which it was bound: %j', (told, tier) => {
    expect(read({ content: [text], usage: { ...usage, ...told } }).serviceTier).toBe(tier);
  });

  test('everything that was generated is text to count, and nothing that a tool brought', () => {
    const content = [
      { type: 'thinking', thinking: 'Hm', signature: 'c2lnbmF0dXJl' },
      { type: 'redacted_thinking', data: 'x'.repeat(90) },
      { type: 'server_tool_use', id: 's', name: 'web_search', input: { query: 'q' } },
      { type: 'web_search_tool_result', content: [{ title: 'Found', encrypted_content: 'zzz' }] },
      { ...text, citations: [{ cited_text: 'Found' }] },
      { type: 'tool_use', id: 't', name: 'add', input: {} },
      { type: 'compaction', content: 'Summary' },
    ];
    const { generated } = read({ content });
    expect(generated.texts).toEqual(['Hm', 'web_search{"query":"q"}', 'Hello', 'add', 'Summary']);
    expect(generated.overhead).toBeGreaterThan(80);
  });

  test('usage without a token on one side of a text is none; beside no text it is a zero', () => {
    for (const counts of [
      { input_tokens: 0, output_tokens: 4 },
      { input_tokens: 9, output_tokens: 0 },
    ]) {
      expect(read({ content: [text], usage: counts }).usage).toBeNull();
    }
    expect(read({ content: [], usage: { input_tokens: 9, output_tokens: 0 } }).usage).toEqual({
      input: 9,
      output: 0,
    });
  });

  test('what another model did for it stands apart', () => {
    const advice = { type: 'advisor_message', model: 'advisor-1', input_tokens: 50, output_tokens: 2 };
    expect(read({ content: [text], usage: { ...usage, iterations: [advice] } })).toMatchObject({
      usage: { input: 9, output: 4 },
      otherModels: [{ model: 'advisor-1', usage: { input: 50, output: 2 } }],
    });
  });

  test('what was declined before a word of it is not billed; what was declined later is', () => {
    const declined = { content: [], stop_reason: 'refusal', usage: { input_tokens: 412, output_tokens: 0 } };
    expect(read(declined)).toMatchObject({
      usage: null,
      error: expect.stringContaining('refused'),
      finishReason: 'refusal',
    });
    expect(read({ ...declined, content: [text], usage })).toMatchObject({
      usage: { input: 9, output: 4 },
      error: null,
    });
    expect(read({ ...declined, usage })).toMatchObject({ usage: { input: 9, output: 4 }, error: null });
    // Words that came though none were counted are for us to count.
    expect(read({ ...declined, content: [text] })).toMatchObject({ usage: null, error: null });
    expect(read({ ...declined, stop_reason: 'end_turn' })).toMatchObject({
      usage: { input: 412, output: 0 },
      error: null,
    });
  });

  test('fast mode is a tier of its own', () => {
    const reported = { ...usage, speed: 'fast', service_tier: 'standard' };
    expect(read({ content: [text], usage: reported }).serviceTier).toBe('fast');
    expect(read({ content: [text], usage: { ...reported, speed: 'standard' } }).serviceTier).toBe('standard');
  });

  test('its id is kept only where the provider keeps the conversation', () => {
    const answer = { id: 'msg_1', content: [text], usage };
    expect(read(answer, requestOf({ thread: { type: 'create' } })).answerId).toBe('msg_1');
    expect(read(answer).answerId).toBeNull();
  });

  test('an error inside a success is an error', () => {
    const error = { type: 'overloaded_error', message: 'Overloaded' };
    expect(read({ type: 'error', error })).toMatchObject({
      error: 'overloaded_error: Overloaded',
      usage: null,
    });
    expect(read({ type: 'error' }).error).toBe('unnamed error');
    expect(read({ error: null, content: [] }).error).toBeNull();
  });

  test.each([['<html>'], [''], ['[]'], ['null'], ['"text"'], ['{"content":[{"type"']])(
    '%s is no answer: nothing was generated and nothing is known of its use',
    (body) => {
      expect(read(body)).toMatchObject({
        usage: null,
        generated: { texts: [], overhead: 0 },
        error: 'The answer is not a JSON object',
      });
    },
  );

  test('members of the wrong kind are passed over', () => {
    const content = [
      null,
      7,
      'x',
      {},
      { type: 'text', text: 5, citations: 'x' },
      { type: 'tool_use', input: [] },
    ];
    expect(read({ content, usage: 'none', stop_reason: 5, id: {} })).toMatchObject({
      usage: null,
      generated: { texts: [] },
      finishReason: null,
      error: null,
    });
    expect(read({ content: 'none' }).generated.texts).toEqual([]);
  });
});
