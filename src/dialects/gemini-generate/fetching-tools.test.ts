import { describe, expect, test } from 'vitest';
import { geminiGenerate } from './index.ts';

function requestOf(tools: unknown, method = 'generateContent') {
  const body = Buffer.from(JSON.stringify({ contents: [{ parts: [{ text: 'Hi' }] }], tools }));
  const path = `/v1beta/models/gemini-2.5-flash:${method}`;
  const request = geminiGenerate.readRequest({ path, query: new URLSearchParams(), body });
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

describe('what tools fetch into the prompt', () => {
  test.each([
    [[{ urlContext: {} }], { input: 40_000 }],
    [[{ url_context: {} }], { input: 40_000 }],
    [{ urlContext: {} }, { input: 40_000 }],
    [[{ fileSearch: { fileSearchStoreNames: ['x'] } }], { input: 16_000 }],
    [[{ retrieval: { vertexAiSearch: {} } }], { input: 16_000 }],
    [[{ googleSearch: {} }], { grounded_prompt: 1, input: 40_000 }],
    [[{ googleMaps: {} }], { grounded_prompt: 1, input: 10_000 }],
    [[{ urlContext: {} }, { googleSearch: {} }], { grounded_prompt: 1, input: 80_000 }],
    [[{ urlContext: {} }, { url_context: {} }], { input: 40_000 }],
    [[{ codeExecution: {} }], { input: 5_000 }],
  ])('is held for as input: %j', (tools, units) => {
    expect(requestOf(tools).units).toEqual(units);
  });

  test('does not make the prompt itself longer, by which requests are refused', () => {
    expect(requestOf([{ urlContext: {} }]).estimatedInputTokens).toBe(requestOf([]).estimatedInputTokens);
  });

  test.each([
    [[{ functionDeclarations: [{ name: 'f' }] }]],
    [[{ urlContext: null }, null, 'urlContext', 7]],
    [[{ mcpServers: [] }]],
    [undefined],
  ])('is nothing for %j', (tools) => {
    expect(requestOf(tools).units).toEqual({});
  });

  test('is nothing where tokens are only counted', () => {
    expect(requestOf([{ urlContext: {} }], 'countTokens').units).toEqual({});
  });
});
