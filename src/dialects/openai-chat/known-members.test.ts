import { describe, expect, test } from 'vitest';
import type { DialectRequest } from '../dialect.ts';
import { openaiChat } from './index.ts';
import { unknownMemberOf } from './known-members.ts';

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
    // Google documents this one; with anything beside it, it could be anyone's.
    expect(read({ extra_body: { google: { thinking_config: {} } } }).unknownMember).toBeNull();
    expect(read({ extra_body: { google: {}, n: 5 } }).unknownMember).toBe('extra_body');
  });

  test.each([
    'models',
    'route',
    'preset',
    'fallbacks',
    'deferred',
    'n_predict',
    'max_new_tokens',
    'best_of',
    'extra_body',
    'options',
  ])('%s is not: it would be served or billed as something that the hold is not for', (name) => {
    expect(read({ [name]: 1 }).unknownMember).toBe(name);
  });

  test('names that every object inherits are members like any other', () => {
    expect(read(JSON.parse('{"__proto__": 1}')).unknownMember).toBe('__proto__');
    expect(read({ constructor: 1 }).unknownMember).toBe('constructor');
    expect(read({ toString: 1 }).unknownMember).toBe('toString');
  });

  test.each([
    ['providerOptions.gateway.models', { providerOptions: { gateway: { models: ['openai/gpt-5'] } } }],
    [
      'providerOptions.openai.maxCompletionTokens',
      { providerOptions: { openai: { maxCompletionTokens: 9 } } },
    ],
    ['plugins.0.allowed_models', { plugins: [{ id: 'auto-router', allowed_models: ['*'] }] }],
    ['plugins.1.model', { plugins: [{ id: 'web' }, { id: 'fusion', model: 'x' }] }],
    ['provider.fallbacks', { provider: { fallbacks: ['x'] } }],
    ['compound_custom.models', { compound_custom: { models: { answering_model: 'x' } } }],
    ['tools.0.parameters.model', { tools: [{ type: 'openrouter:advisor', parameters: { model: 'x' } }] }],
  ])('%s is not, inside a member that is', (path, members) => {
    expect(read(members).unknownMember).toBe(path);
  });

  test('what names no other model is known inside those members, and so are the arguments of functions', () => {
    const members = {
      providerOptions: {
        gateway: { order: ['bedrock'], models: null },
        anthropic: { thinking: { budgetTokens: 9 } },
      },
      provider: { order: ['x'], allow_fallbacks: false, only: null },
      plugins: [{ id: 'web', max_results: 3 }],
      tools: [
        { type: 'function', function: { name: 'f', parameters: { properties: { model: {}, n: {} } } } },
      ],
    };
    expect(read(members).unknownMember).toBeNull();
  });

  test('what is too large to be looked through is not known, however it is large', () => {
    const deep = `${'{"a":['.repeat(100_000)}{}${']}'.repeat(100_000)}`;
    for (const value of [JSON.parse(deep), { a: Array.from({ length: 20_000 }, () => 1) }]) {
      expect(unknownMemberOf({ providerOptions: value })).toBe('providerOptions');
    }
  });
});
