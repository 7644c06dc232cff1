import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../json.ts';
import { audioTokens, fileTokens, videoTokens } from '../media-estimate.ts';
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

  test('texts count in every other member that a model may be shown', () => {
    const text = 'lorem ipsum dolor sit amet '.repeat(100);
    const places: readonly JsonObject[] = [
      { documents: [{ title: 'A', text }] },
      { chat_template: text },
      { chat_template_kwargs: { instructions: text } },
      { guided_json: { description: text } },
      { guided_grammar: text },
      { plugins: [{ id: 'web', search_prompt: text }] },
      { prediction: { type: 'content', content: text } },
      { response_format: { type: 'json_object', schema: { description: text } } },
      { messages: [{ role: 'user', content: { type: 'text', text } }] },
    ];
    for (const place of places) {
      expect(estimate({ ...user(''), ...place }) - bare, Object.keys(place)[0]).toBeGreaterThanOrEqual(1_000);
    }
  });

  test('members that no model is shown count nothing, and neither do short settings', () => {
    const text = 'lorem ipsum dolor sit amet '.repeat(100);
    const unseen = {
      metadata: { text },
      user: text,
      prompt_cache_key: text,
      logit_bias: { 5: 1 },
      stop: [text],
    };
    const settings = { provider: { order: [text] }, reasoning_effort: 'high', temperature: 1, seed: null };
    expect(estimate({ ...user(''), ...unseen, ...settings })).toBe(bare);
  });

  test('media that only the provider can fetch has a bound, however its address is given', () => {
    const url = 'https://example.com/a';
    const part = (content: JsonObject) => estimate(user([content])) - bare;
    expect(part({ type: 'file', file: { file_data: `${url}.pdf` } })).toBe(fileTokens(null));
    for (const document of [url, { url }]) {
      expect(part({ type: 'document_url', document_url: document })).toBe(fileTokens(null));
    }
    const audio = audioTokens({ reference: url }, '');
    expect(audio).toBeGreaterThanOrEqual(9_600);
    for (const given of [url, { url }]) expect(part({ type: 'audio_url', audio_url: given })).toBe(audio);
    for (const given of [url, { data: url, format: 'mp3' }]) {
      expect(part({ type: 'input_audio', input_audio: given })).toBe(audio);
    }
    for (const given of [url, { url }]) {
      expect(part({ type: 'video_url', video_url: given })).toBe(videoTokens(null));
      expect(part({ video_url: given })).toBe(videoTokens(null));
    }
    expect(part({ type: 'image_url', image_url: url })).toBeGreaterThan(1_000);
    expect(part({ type: 'video', video: [url, url] })).toBe(2 * part({ type: 'image_url', image_url: url }));
    expect(part({ type: 'video', video: url })).toBe(videoTokens(null));
  });

  test('media that is given with its bytes is bounded by them, as a data URL or without', () => {
    const part = (content: JsonObject) => estimate(user([content])) - bare;
    const bytes = 'A'.repeat(320_000);
    const audio = audioTokens({ base64: bytes }, 'audio/mpeg');
    for (const input of [
      bytes,
      { data: bytes, format: 'mp3' },
      { data: `data:audio/mpeg;base64,${bytes}` },
    ]) {
      expect(part({ type: 'input_audio', input_audio: input })).toBe(audio);
    }
    const file = (data: string) => part({ type: 'file', file: { file_data: data } });
    expect(file(`data:application/pdf;base64,${bytes}`)).toBe(file(bytes));
    const film = 'A'.repeat(8_000_000);
    expect(file(`data:video/mp4;base64,${film}`)).toBe(videoTokens({ base64: film }));
    expect(file(`data:audio/mpeg;base64,${bytes}`)).toBe(audio);
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
