import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import { inputTokens, outputTokens } from '../../domain/usage.ts';
import { GeneratedText } from './generated.ts';
import { normaliseUsage, usageFor } from './usage.ts';

const normalise = (usage: Record<string, unknown>, provider = 'openai') =>
  normaliseUsage(usage, quirksOf(provider));
const tokens = (prompt: unknown, completion: unknown, total?: unknown, others = {}) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  ...(total === undefined ? {} : { total_tokens: total }),
  ...others,
});
const cached = (count: unknown) => ({ prompt_tokens_details: { cached_tokens: count } });
const reasoned = (count: unknown) => ({ completion_tokens_details: { reasoning_tokens: count } });

describe('usage in disjoint classes', () => {
  test.each([
    ['the plainest', tokens(10, 5, 15), { input: 10, output: 5 }],
    [
      'details that are all zero',
      tokens(10, 5, 15, { ...cached(0), ...reasoned(0) }),
      { input: 10, cache_read: 0, output: 5, reasoning: 0 },
    ],
    ['cached input is not input', tokens(10, 5, 15, cached(4)), { input: 6, cache_read: 4, output: 5 }],
    [
      'DeepSeek names the cached part twice',
      tokens(10, 5, 15, { ...cached(4), prompt_cache_hit_tokens: 4, prompt_cache_miss_tokens: 6 }),
      { input: 6, cache_read: 4, output: 5 },
    ],
    [
      'or once',
      tokens(10, 5, 15, { prompt_cache_hit_tokens: 4, prompt_cache_miss_tokens: 6 }),
      { input: 6, cache_read: 4, output: 5 },
    ],
    [
      'what is written to the cache is not input',
      tokens(100, 5, 105, { prompt_tokens_details: { cached_tokens: 20, cache_write_tokens: 70 } }),
      { input: 10, cache_read: 20, cache_write_5m: 70, output: 5 },
    ],
    [
      'read and written at once is read',
      tokens(100, 5, 105, { prompt_tokens_details: { cached_tokens: 90, cache_write_tokens: 90 } }),
      { input: 10, cache_read: 90, cache_write_5m: 0, output: 5 },
    ],
    [
      'and only more than was read is written',
      tokens(100, 5, 105, { prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 80 } }),
      { input: 20, cache_read: 60, cache_write_5m: 20, output: 5 },
    ],
    [
      'more cached than prompt: the prompt is net of it',
      tokens(7, 1, 8, cached(161)),
      { input: 7, cache_read: 161, output: 1 },
    ],
    [
      'reasoning within the completion',
      tokens(10, 50, 60, reasoned(30)),
      { input: 10, output: 20, reasoning: 30 },
    ],
    ['reasoning beside it', tokens(10, 50, 90, reasoned(30)), { input: 10, output: 50, reasoning: 30 }],
    [
      'more reasoning than completion, within the total',
      tokens(10, 5, 15, reasoned(11)),
      { input: 10, output: 0, reasoning: 5 },
    ],
    [
      'audio on both sides',
      tokens(10, 50, 60, {
        prompt_tokens_details: { audio_tokens: 4 },
        completion_tokens_details: { audio_tokens: 40, reasoning_tokens: 5 },
      }),
      { input: 6, input_audio: 4, output: 5, reasoning: 5, output_audio: 40 },
    ],
    ['no total', tokens(10, 50, undefined, reasoned(30)), { input: 10, output: 20, reasoning: 30 }],
    ['no completion, but a total', { prompt_tokens: 10, total_tokens: 15 }, { input: 10, output: 5 }],
    ['no prompt, but a total', { completion_tokens: 5, total_tokens: 15 }, { input: 10, output: 5 }],
    ['an explicit zero', tokens(0, 0, 0), { input: 0, output: 0 }],
    [
      'details that are null, and nulls inside',
      tokens(10, 5, 15, {
        prompt_tokens_details: null,
        completion_tokens_details: { reasoning_tokens: null },
      }),
      { input: 10, output: 5 },
    ],
    [
      'floats, prices and anything else beside it',
      tokens(10, 5, 15, {
        tokens_per_second: 3.7,
        cost: { total: 0.1 },
        is_byok: false,
        prompt_tokens_details: { video_tokens: -1 },
      }),
      { input: 10, output: 5 },
    ],
    ['a count written as a float', tokens(10.0, 5, 15), { input: 10, output: 5 }],
    [
      'searches and sources',
      tokens(10, 5, 15, { server_tool_use_details: { web_search_requests: 3 }, num_sources_used: 2 }),
      { input: 10, output: 5, web_search: 3, search_source: 2 },
    ],
  ])('%s', (_, usage, expected) => {
    expect(normalise(usage)).toEqual(expected);
  });

  test('where the total does not tell, the provider decides whether reasoning is beside the completion', () => {
    expect(normalise(tokens(10, 5, undefined, reasoned(3)), 'xai')).toEqual({
      input: 10,
      output: 5,
      reasoning: 3,
    });
    expect(normalise(tokens(10, 5, 15, reasoned(3)), 'xai')).toEqual({ input: 10, output: 2, reasoning: 3 });
    expect(normalise(tokens(10, 5, 18, reasoned(3)), 'nobody-knows')).toEqual({
      input: 10,
      output: 5,
      reasoning: 3,
    });
  });

  test('what the total has beyond prompt and completion is reasoning where the provider hides it, and nothing elsewhere', () => {
    expect(normalise(tokens(35, 12, 109), 'gemini')).toEqual({ input: 35, output: 12, reasoning: 62 });
    expect(normalise(tokens(35, 12, 109), 'nobody-knows')).toEqual({ input: 35, output: 12 });
  });

  test.each([
    ['negative', -1],
    ['fractional', 1.5],
    ['a text', '7'],
    ['beyond 2^53', 2 ** 53],
    ['true', true],
    ['an object', {}],
  ])('a count that is %s makes the usage unusable, whichever count it is', (_, count) => {
    expect(normalise(tokens(count, 5, 15))).toBeNull();
    expect(normalise(tokens(10, count, 15))).toBeNull();
    expect(normalise(tokens(10, 5, count))).toBeNull();
    expect(normalise(tokens(10, 5, 15, cached(count)))).toBeNull();
    expect(normalise(tokens(10, 5, 15, reasoned(count)))).toBeNull();
  });

  test('usage without prompt or completion is no usage', () => {
    for (const usage of [
      {},
      { prompt_tokens: 3 },
      { total_tokens: 3 },
      { prompt_tokens: 5, total_tokens: 3 },
    ]) {
      expect(normalise(usage)).toBeNull();
    }
  });

  test('classes never overlap: they add up to what prompt, completion and total say', () => {
    const count = fc.nat({ max: 1_000 });
    const maybe = fc.option(count, { nil: undefined });
    const provider = fc.constantFrom('openai', 'xai', 'gemini', 'azure', 'nobody-knows');
    fc.assert(
      fc.property(
        fc.record({
          count,
          completion: count,
          read: maybe,
          write: maybe,
          audioIn: maybe,
          audioOut: maybe,
          reasoning: maybe,
          extra: maybe,
          provider,
        }),
        (given) => {
          const { count: prompt, completion, read, write, audioIn, audioOut, reasoning, extra } = given;
          const usage = normalise(
            tokens(prompt, completion, extra === undefined ? undefined : prompt + completion + extra, {
              prompt_tokens_details: {
                cached_tokens: read,
                cache_write_tokens: write,
                audio_tokens: audioIn,
              },
              completion_tokens_details: { reasoning_tokens: reasoning, audio_tokens: audioOut },
            }),
            given.provider,
          );
          if (usage === null) throw new Error('unusable');
          expect(
            Object.values(usage).every((value) => Number.isSafeInteger(value) && Number(value) >= 0),
          ).toBe(true);
          expect(inputTokens(usage)).toBe((read ?? 0) > prompt ? prompt + Number(read) : prompt);
          const outside = outputTokens(usage) - completion;
          expect([0, reasoning, extra]).toContain(outside);
          if (extra === 0) expect(outside).toBe(0);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('no junk in the place of usage brings the reader down', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom(
            'prompt_tokens',
            'completion_tokens',
            'total_tokens',
            'prompt_tokens_details',
            'completion_tokens_details',
            'cost',
            '__proto__',
          ),
          fc.jsonValue(),
        ),
        (usage) => {
          const normalised = normalise(usage);
          expect(
            normalised === null || Object.values(normalised).every((count) => Number.isSafeInteger(count)),
          ).toBe(true);
        },
      ),
    );
  });
});

describe('usage that can be billed', () => {
  const text = new GeneratedText();
  text.add(0, { content: 'Hello' });
  const nothing = new GeneratedText();
  const billed = (usage: Record<string, unknown> | null, generated: GeneratedText) =>
    usageFor(usage, quirksOf('openai'), generated);

  test('all zero beside generated text is no usage', () => {
    expect(billed(tokens(0, 0, 0), text)).toBeNull();
    expect(billed(tokens(0, 0, 0, { ...cached(0), ...reasoned(0) }), text)).toBeNull();
  });

  test('all zero beside nothing is a zero, and a zero on one side is one too', () => {
    expect(billed(tokens(0, 0, 0), nothing)).toEqual({ input: 0, output: 0 });
    expect(billed(tokens(0, 26, 26), text)).toEqual({ input: 0, output: 26 });
    expect(billed(tokens(10, 0, 10), text)).toEqual({ input: 10, output: 0 });
  });

  test('missing is not zero', () => {
    expect(billed(null, nothing)).toBeNull();
  });
});
