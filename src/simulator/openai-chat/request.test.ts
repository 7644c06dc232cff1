import { describe, expect, test } from 'vitest';
import { parseChatRequest } from './request.ts';

const messages = [{ role: 'user', content: 'Hi' }];
const model = 'sim-small';
const tools = [{ type: 'function', function: { name: 'add', parameters: {} } }];
const bytes = (body: unknown) => Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));

describe('a chat request', () => {
  test.each([
    ['with nothing but the necessary', {}],
    [
      'with optional arguments that are null',
      { max_tokens: null, stream: null, stream_options: null, tools: null, n: null },
    ],
    [
      'with parts of content',
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }, { type: 'image_url' }] }] },
    ],
    [
      'with a conversation about tools',
      {
        messages: [
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'a', function: { name: 'add', arguments: '{}' } }],
          },
          { role: 'tool', tool_call_id: 'a', content: '3' },
        ],
        tools,
        tool_choice: { type: 'function', function: { name: 'add' } },
      },
    ],
    [
      'with arguments that only the gateway needs',
      { user: 'u', metadata: { a: 'b' }, seed: 3, stop: ['\n'], logit_bias: {} },
    ],
  ])('%s is accepted', (_, extra) => {
    expect(parseChatRequest(bytes({ model, messages, ...extra })).ok).toBe(true);
  });

  test.each([
    ['{"model":', null, null, 'We could not parse the JSON body of your request.'],
    ['[]', null, null, 'We could not parse the JSON body of your request.'],
    ['', null, null, 'We could not parse the JSON body of your request.'],
    [{ messages }, null, null, 'you must provide a model parameter'],
    [{ model: '', messages }, null, null, 'you must provide a model parameter'],
    [{ model: 5, messages }, null, null, 'you must provide a model parameter'],
    [{ model }, 'messages', 'missing_required_parameter', "Missing required parameter: 'messages'."],
    [{ model, messages: [] }, 'messages', 'empty_array', 'but got an empty array instead.'],
    [
      { model, messages: 'Hi' },
      'messages',
      'invalid_type',
      "Invalid type for 'messages': expected an array, but got a string instead.",
    ],
    [
      { model, messages: [{ content: 'Hi' }] },
      'messages[0].role',
      'missing_required_parameter',
      "'messages[0].role'",
    ],
    [
      { model, messages: [{ role: 'robot', content: 'Hi' }] },
      'messages[0].role',
      'invalid_value',
      "Invalid value: 'robot'.",
    ],
    [
      { model, messages: [{ role: 'user', content: 5 }] },
      'messages[0].content',
      'invalid_type',
      'expected one of a string or an array, but got an integer instead.',
    ],
    [
      { model, messages, stream: 'yes' },
      'stream',
      'invalid_type',
      'expected a boolean, but got a string instead.',
    ],
    [
      { model, messages, n: 0 },
      'n',
      'integer_below_minimum_value',
      "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
    ],
    [
      { model, messages, n: 129 },
      'n',
      'integer_above_maximum_value',
      'Expected a value <= 128, but got 129 instead.',
    ],
    [{ model, messages, max_tokens: 0 }, 'max_tokens', 'integer_below_minimum_value', "'max_tokens'"],
    [{ model, messages, max_tokens: 1.5 }, 'max_tokens', 'invalid_type', "Invalid type for 'max_tokens'"],
    [{ model, messages, temperature: 2.5 }, 'temperature', 'decimal_above_maximum_value', '<= 2'],
    [{ model, messages, top_k: 3 }, null, null, 'Unrecognized request argument supplied: top_k'],
    [
      { model, messages, top_k: 3, foo: 1 },
      null,
      null,
      'Unrecognized request arguments supplied: top_k, foo',
    ],
    [
      { model, messages, stream_options: {} },
      'stream_options',
      null,
      "only allowed when 'stream' is enabled",
    ],
    [
      { model, messages, max_tokens: 1, max_completion_tokens: 1 },
      'max_tokens',
      'invalid_parameter_combination',
      'at the same time is not supported',
    ],
    [
      { model, messages, tool_choice: 'auto' },
      'tool_choice',
      null,
      "only allowed when 'tools' are specified",
    ],
    [
      { model, messages, tools, tool_choice: { type: 'function', function: { name: 'sub' } } },
      'tool_choice',
      null,
      "Tool choice 'sub' not found",
    ],
  ])('%j is refused in the words of OpenAI', (body, param, code, message) => {
    const parsed = parseChatRequest(bytes(body));
    expect(parsed).toMatchObject({
      ok: false,
      error: { status: 400, type: 'invalid_request_error', param, code },
    });
    expect(parsed.ok ? '' : parsed.error.message).toContain(message);
  });
});
