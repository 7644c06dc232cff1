import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import { nothingSaid } from '../dialect.ts';
import { readAnswer } from './answer.ts';

const read = (answer: unknown, provider = 'openai') =>
  readAnswer(Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)), {
    quirks: quirksOf(provider),
  });
const usage = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 };

describe('a whole answer', () => {
  test('its usage, its text and its finish reason are read', () => {
    const answer = {
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
      usage,
    };
    expect(read(answer)).toEqual({
      ...nothingSaid,
      usage: { input: 9, output: 4 },
      reported: usage,
      generated: { texts: ['Hello'], overhead: 0 },
      finishReason: 'stop',
    });
  });

  test('the service tier that served it and what upstream charges are read', () => {
    expect(read({ choices: [], service_tier: 'flex', usage }).serviceTier).toBe('flex');
    expect(read({ choices: [], usage: { ...usage, service_tier: 'priority' } }).serviceTier).toBe('priority');
    expect(read({ choices: [], usage }).serviceTier).toBeNull();
    // What OpenRouter's cache saved is already off its cost.
    const cost = { ...usage, cost: 0.000123, cache_discount: 0.5 };
    expect(read({ choices: [], usage: cost })).toMatchObject({ statedCost: 123_000n, reported: cost });
  });

  test('everything that was generated is text to count, each choice by itself', () => {
    const call = (name: string) => ({ id: '', type: 'function', function: { name, arguments: '{}' } });
    const choices = [
      {
        message: { content: null, reasoning: 'Hm', tool_calls: [call('one'), call('two')] },
        finish_reason: 'tool_calls',
      },
      { message: { content: [{ type: 'text', text: 'Hi' }], refusal: 'No' }, finish_reason: 'stop' },
      { finish_reason: 'content_filter' },
    ];
    const { generated, finishReason, usage: read_ } = read({ choices });
    expect(generated.texts).toEqual(['Hm', expect.stringMatching(/one.*two/), 'Hi', 'No']);
    expect(generated.overhead).toBeGreaterThan(0);
    expect(finishReason).toBe('tool_calls');
    expect(read_).toBeNull();
  });

  test('a call of the function that the request names, which ends with "stop", comes to its arguments alone', () => {
    const tool_calls = [{ function: { name: 'find', arguments: '{"q":1}' } }];
    const choices = (finish_reason: string) => ({ choices: [{ message: { tool_calls }, finish_reason }] });
    expect(read(choices('stop')).generated.texts).toEqual(['{"q":1}']);
    expect(read(choices('tool_calls')).generated.texts).toEqual(['find', '{"q":1}']);
  });

  test('all-zero usage beside text is none; beside no text it is a zero', () => {
    const zero = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    expect(read({ choices: [{ message: { content: 'Hi' } }], usage: zero }).usage).toBeNull();
    expect(read({ choices: [{ message: { content: '' } }], usage: zero }).usage).toEqual({
      input: 0,
      output: 0,
    });
  });

  test('an error inside a success is an error, with the usage that came beside it', () => {
    expect(read({ error: { message: 'overloaded', code: 502 } })).toMatchObject({
      error: 'overloaded',
      usage: null,
    });
    expect(read({ error: { message: 'overloaded' }, usage })).toMatchObject({
      error: 'overloaded',
      usage: { input: 9, output: 4 },
    });
    expect(read({ error: null, choices: [] }).error).toBeNull();
  });

  test.each([['<html>'], [''], ['[]'], ['null'], ['"text"'], ['{"choices":[{"message"']])(
    '%s is no answer: nothing was generated and nothing is known of its use',
    (body) => {
      expect(read(body)).toEqual({
        ...nothingSaid,
        generated: { texts: [], overhead: 0 },
        error: 'The answer is not a JSON object',
      });
    },
  );

  test('members of the wrong kind are passed over', () => {
    const answer = {
      choices: [null, 7, { message: 'x' }, { message: { content: 5, tool_calls: [1, {}], audio: 3 } }],
      usage: 'none',
    };
    expect(read(answer)).toMatchObject({ usage: null, generated: { texts: [] }, error: null });
    expect(read({ choices: 'none' }).generated.texts).toEqual([]);
  });
});
