import { describe, expect, test } from 'vitest';
import { GeneratedText } from './generated.ts';

function textsOf(...parts: readonly (readonly [unknown, object])[]): readonly string[] {
  const generated = new GeneratedText();
  for (const [index, part] of parts) generated.add(index, part as Record<string, unknown>);
  return generated.countable().texts;
}

describe('what a model generated', () => {
  test('is text and thoughts, each candidate by itself, joined across chunks', () => {
    expect(
      textsOf(
        [0, { text: 'Hm', thought: true }],
        [0, { text: 'Hel' }],
        [1, { text: 'Other' }],
        [0, { text: 'lo' }],
      ),
    ).toEqual(['Hm', 'Hello', 'Other']);
  });

  test('is calls of functions and of tools, and code, but no result of them and no picture', () => {
    expect(
      textsOf(
        [0, { functionCall: { name: 'weather', args: { city: 'Rome' } } }],
        [0, { executableCode: { code: 'print(1)', language: 'PYTHON' } }],
        [0, { codeExecutionResult: { output: '1' } }],
        [0, { toolCall: { toolType: 'GOOGLE_SEARCH_WEB', args: { queries: ['q'] } } }],
        [0, { toolResponse: { response: { results: ['long'] } } }],
        [0, { inlineData: { mimeType: 'image/png', data: 'AAAA' } }],
      ),
    ).toEqual(['print(1)', 'weather', '{"city":"Rome"}', '{"queries":["q"]}']);
  });

  test('calls whose arguments stream are put together, each argument named once', () => {
    const piece = (partialArgs: readonly object[], more: object = { willContinue: true }) =>
      [0, { functionCall: { partialArgs, ...more } }] as const;
    const generated = textsOf(
      [0, { functionCall: { name: 'cook', willContinue: true } }],
      piece([{ jsonPath: '$.recipe.name', stringValue: 'Lasa', willContinue: true }]),
      piece([{ jsonPath: '$.recipe.name', stringValue: 'gne' }]),
      piece([
        { jsonPath: '$.minutes', numberValue: 0 },
        { jsonPath: '$.hot', boolValue: false },
      ]),
      [0, { functionCall: {} }],
      [0, { functionCall: { name: 'serve', args: {} } }],
    );
    expect(generated).toEqual(['cook', ',"name":Lasagne,"minutes":0,"hot":false', 'serve', '{}']);
  });

  test('is nothing where parts have nothing of it, or are of the wrong kind', () => {
    const generated = new GeneratedText();
    const wrong = [
      {},
      { text: '' },
      { text: 5 },
      { functionCall: 'x' },
      { functionCall: { partialArgs: [null] } },
      { thought: true, thoughtSignature: 'abc' },
    ];
    for (const part of wrong) expect(generated.add(0, part)).toBe(false);
    expect(generated.isEmpty).toBe(true);
    expect(generated.countable()).toEqual({ texts: [], overhead: 0 });
  });
});
