import { expect, test } from 'vitest';
import { vocabularyOf } from './vocabulary.ts';

test.each([
  ['gpt-4o-mini', 'own'],
  ['openai/gpt-5.2', 'own'],
  ['gpt-35-turbo', 'own'],
  ['ft:gpt-4o-mini-2024-07-18:acme::7p4l', 'own'],
  ['o4-mini', 'own'],
  ['text-embedding-3-small', 'own'],
  ['gpt-oss-120b', 'other'],
  ['anthropic/claude-sonnet-4-5', 'other'],
  ['gemini-2.5-flash', 'other'],
  ['meta-llama/llama-4-scout', 'other'],
  ['mistral-small-latest', 'other'],
  ['Qwen/Qwen3-235B', 'other'],
  ['our-deployment', 'unknown'],
  ['opus', 'unknown'],
  ['', 'unknown'],
])('%s has a vocabulary that is %s', (model, vocabulary) => {
  expect(vocabularyOf(model)).toBe(vocabulary);
});
