import { describe, expect, test } from 'vitest';
import { estimateInputTokens } from './estimate.ts';
import { countablePrompt } from './prompt.ts';

const estimate = (request: object) =>
  estimateInputTokens(request as Record<string, unknown>, 'gemini-2.5-flash');
const textsOf = (request: object) => countablePrompt(request as Record<string, unknown>);
const text = 'The quick brown fox jumps over the lazy dog. '.repeat(20);
const plain = { contents: [{ parts: [{ text: 'Hi' }] }] };
const withPart = (part: object) => ({ contents: [{ parts: [part] }] });

describe('the estimate of the input', () => {
  test.each([
    { contents: [{ parts: [{ text }] }] },
    { contents: { parts: { text } } },
    { ...plain, systemInstruction: { parts: [{ text }] } },
    { ...plain, system_instruction: { parts: [{ text }] } },
    { ...plain, system_instruction: text },
    { ...plain, tools: [{ functionDeclarations: [{ name: 'f', description: text }] }] },
    { ...plain, tools: [{ function_declarations: [{ name: 'f', description: text }] }] },
    withPart({ functionCall: { name: 'f', args: { text } } }),
    withPart({ function_response: { name: 'f', response: { text } } }),
    withPart({ codeExecutionResult: { output: text } }),
    withPart({ inlineData: { mimeType: 'text/plain', data: Buffer.from(text).toString('base64') } }),
    withPart({ inline_data: { mime_type: 'text/csv', data: Buffer.from(text).toString('base64') } }),
  ])('sees the text of $0', (request) => {
    expect(estimate(request)).toBeGreaterThanOrEqual(200);
    expect(estimate(request)).toBeLessThan(400);
    expect(textsOf(request).texts.join('')).toContain('lazy dog. ');
  });

  test.each([
    withPart({ inlineData: { mimeType: 'image/png', data: 'AAAA' } }),
    withPart({ file_data: { mime_type: 'image/png', file_uri: 'https://example.com/a.png' } }),
    withPart({ fileData: { mimeType: 'audio/wav', fileUri: 'files/1' } }),
    withPart({ fileData: { fileUri: 'https://youtu.be/abc' } }),
    withPart({ inlineData: { mimeType: 'application/pdf', data: 'AAAA' } }),
    withPart({
      functionResponse: {
        name: 'f',
        response: {},
        parts: [{ inlineData: { mimeType: 'image/png', data: 'AAAA' } }],
      },
    }),
  ])('holds money for what is no text in $0', (request) => {
    expect(estimate(request)).toBeGreaterThan(250);
  });

  test('never takes base64 for text', () => {
    const data = 'A'.repeat(3_000_000);
    expect(estimate(withPart({ inlineData: { mimeType: 'image/png', data } }))).toBeLessThan(20_000);
    expect(textsOf(withPart({ inlineData: { mimeType: 'image/png', data } }))).toEqual({
      texts: [],
      overhead: 258,
      hasMore: true,
    });
  });

  test('earlier thoughts come again, encrypted', () => {
    const signed = (length: number) =>
      estimate(withPart({ text: 'Hi', thoughtSignature: 'A'.repeat(length) }));
    expect(signed(1_400) - signed(1)).toBeGreaterThan(200);
  });

  test('members of the wrong kind count for nothing', () => {
    const wrong = {
      contents: [null, 5, { parts: 'x' }, { parts: [null, 'y', { text: 7 }] }],
      tools: 'z',
      generationConfig: [],
    };
    expect(estimate(wrong)).toBeLessThan(30);
    expect(textsOf(wrong).texts).toEqual([]);
  });
});
