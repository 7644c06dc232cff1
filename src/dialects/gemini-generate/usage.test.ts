import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import { inputTokens, outputTokens } from '../../domain/usage.ts';
import { countedOutput, hasCounts, normaliseUsage } from './usage.ts';

const gemini = quirksOf('gemini');
const normalise = (usage: Record<string, unknown>) => normaliseUsage(usage, gemini);
const details = (...entries: readonly (readonly [unknown, unknown])[]) =>
  entries.map(([modality, tokenCount]) => ({ modality, tokenCount }));

describe("Google's usage", () => {
  test('thoughts are beside the candidates, and what tools fetched beside the prompt', () => {
    const usage = normalise({
      promptTokenCount: 100,
      candidatesTokenCount: 20,
      thoughtsTokenCount: 300,
      toolUsePromptTokenCount: 1_000,
      totalTokenCount: 1_420,
    });
    expect(usage).toEqual({ input: 1_100, output: 20, reasoning: 300 });
  });

  test('candidates that are missing are none: Google leaves out what is zero', () => {
    expect(normalise({ promptTokenCount: 5, thoughtsTokenCount: 4, totalTokenCount: 9 })).toEqual({
      input: 5,
      output: 0,
      reasoning: 4,
    });
    expect(normalise({ promptTokenCount: 14, totalTokenCount: 14 })).toEqual({ input: 14, output: 0 });
    expect(normalise({ promptTokenCount: 14 })).toEqual({ input: 14, output: 0 });
  });

  test('the total gives away a count that is missing', () => {
    expect(normalise({ promptTokenCount: 5, totalTokenCount: 9 })).toEqual({ input: 5, output: 4 });
    expect(normalise({ candidatesTokenCount: 5, totalTokenCount: 9 })).toEqual({ input: 4, output: 5 });
  });

  test('what the total has beyond prompt and candidates was thought', () => {
    expect(normalise({ promptTokenCount: 35, candidatesTokenCount: 12, totalTokenCount: 109 })).toEqual({
      input: 35,
      output: 12,
      reasoning: 62,
    });
  });

  test('thoughts that the total shows to be among the candidates are counted once', () => {
    const usage = { promptTokenCount: 10, candidatesTokenCount: 50, thoughtsTokenCount: 30 };
    expect(normalise({ ...usage, totalTokenCount: 60 })).toEqual({ input: 10, output: 20, reasoning: 30 });
    expect(normalise({ ...usage, totalTokenCount: 90 })).toEqual({ input: 10, output: 50, reasoning: 30 });
    expect(normalise(usage)).toEqual({ input: 10, output: 50, reasoning: 30 });
  });

  test('cached tokens are a part of the prompt, and audio has classes of its own, fresh and cached', () => {
    const usage = normalise({
      promptTokenCount: 1_000,
      cachedContentTokenCount: 800,
      candidatesTokenCount: 10,
      totalTokenCount: 1_010,
      promptTokensDetails: details(['TEXT', 100], ['VIDEO', 700], ['AUDIO', 200]),
      cacheTokensDetails: details(['VIDEO', 650], ['AUDIO', 150]),
    });
    expect(usage).toEqual({
      input: 150,
      cache_read: 650,
      input_audio: 50,
      cache_read_audio: 150,
      output: 10,
    });
    expect(inputTokens(usage ?? {})).toBe(1_000);
  });

  test('what part of the cache was audio is what fits nowhere else, where nobody says', () => {
    const usage = { promptTokenCount: 100, cachedContentTokenCount: 70, candidatesTokenCount: 1 };
    const audio = (count: number) => normalise({ ...usage, promptTokensDetails: details(['AUDIO', count]) });
    expect(audio(20)).toEqual({ input: 10, cache_read: 70, input_audio: 20, output: 1 });
    expect(audio(50)).toEqual({ input: 0, cache_read: 50, input_audio: 30, cache_read_audio: 20, output: 1 });
  });

  test('more in the cache than in the prompt may have been fetched by tools; beyond that it is beside it', () => {
    const usage = { promptTokenCount: 100, cachedContentTokenCount: 400, candidatesTokenCount: 1 };
    expect(normalise({ ...usage, toolUsePromptTokenCount: 500 })).toEqual({
      input: 200,
      cache_read: 400,
      output: 1,
    });
    expect(normalise(usage)).toEqual({ input: 100, cache_read: 400, output: 1 });
  });

  test('sound that tools fetched is sound, and generated pictures and speech have classes', () => {
    expect(
      normalise({
        promptTokenCount: 10,
        toolUsePromptTokenCount: 90,
        toolUsePromptTokensDetails: details(['AUDIO', 80]),
        candidatesTokenCount: 1_400,
        candidatesTokensDetails: details(['TEXT', 10], ['IMAGE', 1_290], ['AUDIO', 100]),
      }),
    ).toEqual({ input: 20, input_audio: 80, output: 10, output_image: 1_290, output_audio: 100 });
  });

  test('modalities may be numbers', () => {
    expect(
      normalise({
        promptTokenCount: 10,
        promptTokensDetails: details([1, 4], [4, 6]),
        candidatesTokenCount: 7,
        candidatesTokensDetails: details([2, 7]),
      }),
    ).toEqual({ input: 4, input_audio: 6, output: 0, output_image: 7 });
  });

  test('details that exceed their count never make a class negative or the sum larger', () => {
    const usage = normalise({
      promptTokenCount: 10,
      cachedContentTokenCount: 4,
      promptTokensDetails: details(['AUDIO', 500]),
      cacheTokensDetails: details(['AUDIO', 500]),
      candidatesTokenCount: 5,
      candidatesTokensDetails: details(['IMAGE', 9], ['AUDIO', 9]),
    });
    expect(Object.values(usage ?? {}).every((count) => Number(count) >= 0)).toBe(true);
    expect([inputTokens(usage ?? {}), outputTokens(usage ?? {})]).toEqual([10, 5]);
  });

  test.each([-1, 1.5, 100_000_001, '7', Number.NaN, true, [], {}])('%s is nobody’s count', (count) => {
    const usage = { promptTokenCount: 5, candidatesTokenCount: 5 };
    expect(normalise({ ...usage, promptTokenCount: count })).toBeNull();
    expect(normalise({ ...usage, thoughtsTokenCount: count })).toBeNull();
    expect(normalise({ ...usage, promptTokensDetails: details(['AUDIO', count]) })).toBeNull();
  });

  test('without a prompt nothing is known of the input, but what was generated is', () => {
    const usage = { candidatesTokenCount: 23, thoughtsTokenCount: 67 };
    expect(normalise(usage)).toBeNull();
    expect(countedOutput(usage)).toBe(90);
    expect(countedOutput({ ...usage, promptTokenCount: 1 })).toBeNull();
    expect(countedOutput({ trafficType: 'ON_DEMAND' })).toBeNull();
  });

  test('the kind of traffic alone is no count', () => {
    expect(hasCounts({ trafficType: 'ON_DEMAND', serviceTier: 'standard' })).toBe(false);
    expect(hasCounts({ totalTokenCount: null })).toBe(false);
    expect(hasCounts({ totalTokenCount: 0 })).toBe(true);
  });
});
