import { describe, expect, test } from 'vitest';
import { readAnswer } from './answer.ts';

const read = (answer: unknown, provider = 'openai') =>
  readAnswer(Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)), provider);
const usage = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 };

describe('a whole answer', () => {
  test('its usage, its text and its finish reason are read', () => {
    const answer = {
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
      usage,
    };
    expect(read(answer)).toEqual({
      usage: { input: 9, output: 4 },
      generated: { texts: ['Hello'], overhead: 0 },
      finishReason: 'stop',
      error: null,
    });
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
    expect(generated.texts).toEqual(['Hm', 'one', '{}', 'two', '{}', 'Hi', 'No']);
    expect(generated.overhead).toBeGreaterThan(0);
    expect(finishReason).toBe('tool_calls');
    expect(read_).toBeNull();
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
        usage: null,
        generated: { texts: [], overhead: 0 },
        finishReason: null,
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
