import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../json.ts';
import { estimateInputTokens } from './estimate.ts';

const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });
const estimate = (request: JsonObject, model = 'gpt-5') => estimateInputTokens(request, model);
const bare = estimate(user(''));

describe('the estimate of a prompt', () => {
  test('every message costs something, with or without text', () => {
    const messages = (count: number) => ({
      messages: Array.from({ length: count }, () => ({ role: 'user', content: '' })),
    });
    expect(estimate(messages(101)) - estimate(messages(1))).toBeGreaterThanOrEqual(400);
  });

  test('an image is bounded by its model and detail, never by its bytes', () => {
    const image = (bytes: number, detail: string) => [
      { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(bytes)}`, detail } },
    ];
    expect(estimate(user(image(10, 'high')))).toBe(estimate(user(image(1_000_000, 'high'))));
    expect(estimate(user(image(10, 'high')), 'gpt-4o') - bare).toBeGreaterThanOrEqual(1_445);
    expect(estimate(user(image(10, 'low'))) - bare).toBeLessThan(2_000);
    expect(estimate(user(image(10, 'high')), 'openai/gpt-4o-mini')).toBeGreaterThan(25_501);
  });

  test('audio is bounded by its length, compressed or not', () => {
    const audio = (format: string, seconds: number, bytesPerSecond: number) =>
      estimate(
        user([
          {
            type: 'input_audio',
            input_audio: { format, data: 'A'.repeat((seconds * bytesPerSecond * 4) / 3) },
          },
        ]),
      );
    // OpenAI counts 10 tokens a second, Gemini 32.
    expect(audio('wav', 60, 16_000) - bare).toBeGreaterThanOrEqual(32 * 60 - 1);
    expect(audio('mp3', 60, 4_000) - bare).toBeGreaterThanOrEqual(32 * 60 - 1);
  });

  test('audio that the provider remembers by its id is part of the prompt', () => {
    const answered = { messages: [{ role: 'assistant', audio: { id: 'audio_1' } }] };
    expect(estimate(answered) - bare).toBeGreaterThanOrEqual(600);
    expect(estimate({ messages: [{ role: 'assistant', audio: null }] })).toBe(bare);
  });

  test('a file is bounded with and without its bytes', () => {
    const file = (data?: string) =>
      estimate(user([{ type: 'file', file: data === undefined ? { file_id: 'f' } : { file_data: data } }]));
    expect(file()).toBeGreaterThan(10_000);
    expect(file('A')).toBeGreaterThan(1_000);
    expect(file('A'.repeat(5_000_000))).toBeLessThan(200_000);
  });

  test('texts count wherever they are: parts, tool calls, results, thoughts, definitions, schemas', () => {
    const text = 'lorem ipsum dolor sit amet '.repeat(100);
    const places: readonly JsonObject[] = [
      user(text),
      user([{ type: 'text', text }]),
      user([{ type: 'unheard_of', body: { text } }]),
      { messages: [{ role: 'tool', content: text }] },
      {
        messages: [
          { role: 'assistant', content: null, tool_calls: [{ function: { name: 'x', arguments: text } }] },
        ],
      },
      { messages: [{ role: 'assistant', reasoning_content: text }] },
      { ...user(''), tools: [{ type: 'function', function: { name: 'x', description: text } }] },
      { ...user(''), functions: [{ name: 'x', parameters: { properties: { [text]: {} } } }] },
      {
        ...user(''),
        response_format: { type: 'json_schema', json_schema: { schema: { description: text } } },
      },
    ];
    for (const place of places) expect(estimate(place) - bare).toBeGreaterThanOrEqual(1_000);
  });

  test('what a model family puts into its prompts is added by its name', () => {
    const tools = { ...user('Hi'), tools: [{ type: 'function', function: { name: 'x' } }] };
    expect(estimate(tools, 'anthropic/claude-sonnet-4-5') - estimate(tools)).toBeGreaterThan(300);
    expect(estimate(user('Hi'), 'openai/gpt-oss-120b') - estimate(user('Hi'))).toBeGreaterThan(50);
  });

  test('a request of any shape has an estimate', () => {
    for (const request of [
      {},
      { messages: 'x' },
      {
        messages: [null, { content: 7 }, { content: [null, 3, {}] }],
        tools: 5,
        functions: {},
        response_format: 'json',
      },
    ]) {
      expect(Number.isSafeInteger(estimate(request))).toBe(true);
    }
  });
});
