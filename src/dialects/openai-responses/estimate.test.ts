import { describe, expect, test } from 'vitest';
import { audioTokens, fileTokens, imageTokens, type MediaSource } from '../media-estimate.ts';
import { estimateInputTokens } from './estimate.ts';

const model = 'gpt-5-mini';
const estimate = (request: object) => estimateInputTokens({ ...request }, model);
const part = (content: object) => estimate({ input: [{ role: 'user', content: [content] }] });
const nothing = estimate({ input: [{ role: 'user', content: [] }] });

describe('the estimate of the input', () => {
  test('grows with every text that the model is shown', () => {
    const long = 'All human beings are born free and equal in dignity and rights. '.repeat(20);
    const shown = [
      { input: long },
      { input: 'x', instructions: long },
      { input: [{ role: 'user', content: long }] },
      { input: [{ role: 'user', content: [{ type: 'input_text', text: long }] }] },
      { input: [{ type: 'function_call', name: 'f', arguments: long }] },
      { input: [{ type: 'function_call_output', call_id: 'c', output: long }] },
      {
        input: [{ type: 'function_call_output', call_id: 'c', output: [{ type: 'input_text', text: long }] }],
      },
      { input: [{ type: 'reasoning', summary: [{ type: 'summary_text', text: long }] }] },
      { input: [{ type: 'unheard_of', somewhere: { deep: [long] } }] },
      { input: 'x', tools: [{ type: 'function', name: 'f', description: long }] },
      { input: 'x', text: { format: { type: 'json_schema', schema: { description: long } } } },
      { prompt: { id: 'p', variables: { a: long } } },
      { prompt: { id: 'p', variables: { a: { type: 'input_text', text: long } } } },
    ];
    // 13 words and a full stop are 13 tokens for every model of OpenAI.
    for (const request of shown)
      expect(estimate(request), JSON.stringify(request).slice(0, 80)).toBeGreaterThanOrEqual(13 * 20);
    for (const request of shown) expect(estimate(request)).toBeLessThan(13 * 20 * 1.5 + 150);
  });

  test('takes an image for what images cost, however many bytes it has', () => {
    const base64 = 'A'.repeat(3_000_000);
    const url = `data:image/png;base64,${base64}`;
    const bound = (source: MediaSource | null, detail: string | null = null) =>
      imageTokens(model, { source, detail });
    expect(part({ type: 'input_image', image_url: url }) - nothing).toBeCloseTo(bound({ base64 }), -1);
    const low = part({ type: 'input_image', image_url: url, detail: 'low' }) - nothing;
    expect(low).toBeCloseTo(bound({ base64 }, 'low'), -1);
    expect(part({ type: 'input_image', file_id: 'file_1' }) - nothing).toBeCloseTo(bound(null), -1);
    const screenshot = { type: 'computer_screenshot', image_url: url };
    const carried = [
      { type: 'image_generation_call', id: 'ig_1', result: base64 },
      { type: 'computer_call_output', output: screenshot },
      { type: 'function_call_output', output: [{ type: 'input_image', image_url: url }] },
    ];
    for (const item of carried) expect(estimate({ input: [item] }) - nothing).toBeCloseTo(bound(null), -1);
  });

  test('takes files and audio for what their bytes may hold, bare or in a data URL', () => {
    const base64 = 'A'.repeat(160_000);
    const file = (members: object) => part({ type: 'input_file', filename: 'a.pdf', ...members }) - nothing;
    const bound = fileTokens({ base64 });
    expect(file({ file_data: `data:application/pdf;base64,${base64}` })).toBeCloseTo(bound, -1);
    expect(file({ file_data: base64 })).toBeCloseTo(bound, -1);
    expect(file({ file_id: 'file_1' })).toBeCloseTo(fileTokens(null), -1);
    const audio = { type: 'input_audio', input_audio: { data: base64, format: 'wav' } };
    expect(part(audio) - nothing).toBeCloseTo(audioTokens({ base64 }, 'wav'), -1);
  });

  test('bounds what only the provider can read', () => {
    const item = (others: object) => estimate({ input: [others] }) - nothing;
    expect(
      item({ type: 'reasoning', summary: [], encrypted_content: 'g'.repeat(1_000) }),
    ).toBeGreaterThanOrEqual(200);
    expect(item({ type: 'compaction', encrypted_content: 'g'.repeat(1_000) })).toBe(250);
  });

  test('has the definitions of built-in tools, which the request only names', () => {
    const without = estimate({ input: 'x' });
    expect(estimate({ input: 'x', tools: [{ type: 'web_search' }] })).toBeGreaterThan(without + 1_500);
    expect(estimate({ input: 'x', tools: [{ type: 'shell' }] })).toBeGreaterThan(without + 800);
  });
});
