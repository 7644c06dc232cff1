import { expect, test } from 'vitest';
import { encodingNameOf } from './encoding-name.ts';

test.each([
  ['gpt-4o'],
  ['gpt-4o-mini-2024-07-18'],
  ['openai/gpt-4o-mini'],
  ['chatgpt-4o-latest'],
  ['gpt-4.1-nano'],
  ['gpt-4.5-preview'],
  ['gpt-5.6-sol'],
  ['o1-mini'],
  ['o3-2025-04-16'],
  ['gpt-oss-120b'],
  ['ft:gpt-4o-mini-2024-07-18:acme::7p4lURel'],
  ['gpt-40'],
  ['claude-sonnet-4-5'],
  ['llama3'],
  ['my-gpt-4'],
  [''],
])('%s is counted by o200k_base', (model) => {
  expect(encodingNameOf(model)).toBe('o200k_base');
});

test.each([
  ['gpt-4'],
  ['GPT-4'],
  ['gpt-4-0613'],
  ['gpt-4-turbo-2024-04-09'],
  ['openai/gpt-4-turbo'],
  ['openrouter/openai/gpt-4:extended'],
  ['gpt-3.5-turbo-0125'],
  ['gpt-35-turbo'],
  ['ft:gpt-3.5-turbo-0125:acme:name:7p4lURel'],
  ['text-embedding-3-small'],
  ['text-embedding-ada-002'],
])('%s is counted by cl100k_base', (model) => {
  expect(encodingNameOf(model)).toBe('cl100k_base');
});
