import { describe, expect, test } from 'vitest';
import type { DialectRequest } from '../dialect.ts';
import { openaiChat } from './index.ts';

function read(members: object): DialectRequest {
  const body = { model: 'a-model', messages: [{ role: 'user', content: 'Hi' }], ...members };
  const call = { path: '/v1/chat/completions', query: new URLSearchParams() };
  const request = openaiChat.readRequest({ ...call, body: Buffer.from(JSON.stringify(body)) });
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

describe('members of a chat completion', () => {
  test('that no provider is known to take are named, the first of them', () => {
    expect(read({ temperature: 1, max_tokenz: 5, another: 1 }).unknownMember).toBe('max_tokenz');
    expect(read({ unheard_of: null }).unknownMember).toBe('unheard_of');
  });

  test('that some provider documents are known', () => {
    const members = {
      stream: true,
      stream_options: {},
      n: 1,
      tools: [],
      thinking: {},
      top_k: 1,
      chat_template_kwargs: {},
      reasoning: {},
      search_parameters: {},
      providerOptions: {},
      user_security_context: {},
    };
    expect(read(members).unknownMember).toBeNull();
    expect(read({}).unknownMember).toBeNull();
  });

  test.each(['models', 'route', 'preset', 'fallbacks', 'deferred', 'n_predict', 'max_new_tokens', 'best_of'])(
    '%s is not: it would be served or billed as something that the hold is not for',
    (name) => {
      expect(read({ [name]: 1 }).unknownMember).toBe(name);
    },
  );

  test('names that every object inherits are members like any other', () => {
    expect(read(JSON.parse('{"__proto__": 1}')).unknownMember).toBe('__proto__');
    expect(read({ constructor: 1 }).unknownMember).toBe('constructor');
    expect(read({ toString: 1 }).unknownMember).toBe('toString');
  });
});
