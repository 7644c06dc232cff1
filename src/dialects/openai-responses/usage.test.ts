import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import { inputTokens, outputTokens } from '../../domain/usage.ts';
import { normaliseUsage, usageFor } from './usage.ts';

const normalise = (usage: Record<string, unknown>, provider = 'openai') =>
  normaliseUsage(usage, quirksOf(provider));
const tokens = (input: unknown, output: unknown, total?: unknown, others = {}) => ({
  input_tokens: input,
  output_tokens: output,
  ...(total === undefined ? {} : { total_tokens: total }),
  ...others,
});
const cached = (read: unknown, write?: unknown) => ({
  input_tokens_details: { cached_tokens: read, cache_write_tokens: write },
});
const reasoned = (count: unknown) => ({ output_tokens_details: { reasoning_tokens: count } });

describe('usage in disjoint classes', () => {
  test.each([
    ['the plainest', tokens(10, 5, 15), { input: 10, output: 5 }],
    [
      'details that are all zero',
      tokens(10, 5, 15, { ...cached(0), ...reasoned(0) }),
      { input: 10, cache_read: 0, output: 5, reasoning: 0 },
    ],
    [
      'what is cached is not input, nor what is written to the cache',
      tokens(100, 5, 105, cached(20, 70)),
      { input: 10, cache_read: 20, cache_write_5m: 70, output: 5 },
    ],
    ['reasoning is not output', tokens(10, 50, 60, reasoned(30)), { input: 10, output: 20, reasoning: 30 }],
    [
      'audio on both sides',
      tokens(10, 50, 60, {
        input_tokens_details: { audio_tokens: 4 },
        output_tokens_details: { audio_tokens: 40 },
      }),
      { input: 6, input_audio: 4, output: 10, output_audio: 40 },
    ],
    [
      'sources that xAI charges by',
      tokens(10, 5, 15, { num_sources_used: 3 }),
      { input: 10, output: 5, search_source: 3 },
    ],
    [
      'costs and anything else beside it',
      tokens(10, 5, 15, { cost: 0.1, is_byok: false, context_details: { input_tokens: 7 } }),
      { input: 10, output: 5 },
    ],
    ['an explicit zero', tokens(0, 0, 0), { input: 0, output: 0 }],
    ['no output count, but a total', { input_tokens: 10, total_tokens: 15 }, { input: 10, output: 5 }],
  ])('%s', (_, usage, expected) => {
    expect(normalise(usage)).toEqual(expected);
  });

  test("xAI's reasoning is within the output here, though it is beside it in its chat completions", () => {
    expect(normalise(tokens(10, 50, 60, reasoned(30)), 'xai')).toEqual({
      input: 10,
      output: 20,
      reasoning: 30,
    });
    expect(normalise(tokens(10, 50, undefined, reasoned(30)), 'xai')).toEqual({
      input: 10,
      output: 20,
      reasoning: 30,
    });
  });

  test('reasoning is beside the output only where the total says so', () => {
    expect(normalise(tokens(10, 50, 90, reasoned(30)), 'xai')).toEqual({
      input: 10,
      output: 50,
      reasoning: 30,
    });
  });

  test.each([
    ['negative', -1],
    ['fractional', 1.5],
    ['a text', '7'],
    ['beyond what anyone counts', 100_000_001],
  ])('a count that is %s makes the usage unusable, whichever count it is', (_, count) => {
    expect(normalise(tokens(count, 5, 15))).toBeNull();
    expect(normalise(tokens(10, count, 15))).toBeNull();
    expect(normalise(tokens(10, 5, count))).toBeNull();
    expect(normalise(tokens(10, 5, 15, cached(count)))).toBeNull();
    expect(normalise(tokens(10, 5, 15, reasoned(count)))).toBeNull();
  });

  test('classes never overlap: they add up to what input, output and total say', () => {
    const count = fc.nat({ max: 1_000 });
    const maybe = fc.option(count, { nil: undefined });
    fc.assert(
      fc.property(
        fc.record({
          input: count,
          output: count,
          read: count,
          write: maybe,
          reasoning: maybe,
          hasTotal: fc.boolean(),
        }),
        fc.constantFrom('openai', 'xai', 'azure', 'nobody-knows'),
        ({ input, output, read, write, reasoning, hasTotal }, provider) => {
          const usage = normalise(
            tokens(input, output, hasTotal ? input + output : undefined, {
              ...cached(Math.min(read, input), write),
              ...reasoned(reasoning),
            }),
            provider,
          );
          if (usage === null) throw new Error('unusable');
          expect(Object.values(usage).every((value) => Number(value) >= 0)).toBe(true);
          expect(inputTokens(usage)).toBe(input);
          expect(outputTokens(usage)).toBe(output);
        },
      ),
    );
  });

  test('no junk in the place of usage brings the reader down', () => {
    const names = fc.constantFrom(
      'input_tokens',
      'output_tokens',
      'total_tokens',
      'input_tokens_details',
      'output_tokens_details',
      '__proto__',
    );
    fc.assert(
      fc.property(fc.dictionary(names, fc.jsonValue()), (usage) => {
        const classes = Object.values(normalise(usage) ?? {});
        expect(classes.every((count) => Number.isSafeInteger(count))).toBe(true);
      }),
    );
  });
});

describe('usage that can be billed', () => {
  const zero = tokens(0, 0, 0, { ...cached(0), ...reasoned(0) });
  const billed = (usage: Record<string, unknown> | null, isEmpty: boolean, failed = false) =>
    usageFor(usage, quirksOf('openai'), { isEmpty, failed });

  test('all zero beside output is no usage', () => {
    expect(billed(zero, false)).toBeNull();
  });

  test('all zero beside nothing is a zero, and a zero on one side is one too', () => {
    expect(billed(tokens(0, 0, 0), true)).toEqual({ input: 0, output: 0 });
    expect(billed(tokens(10, 0, 10), false)).toEqual({ input: 10, output: 0 });
  });

  test('all zero beside a failure is no usage, and anything else is', () => {
    expect(billed(zero, true, true)).toBeNull();
    expect(billed(tokens(10, 0, 10), true, true)).toEqual({ input: 10, output: 0 });
  });

  test('missing is not zero', () => {
    expect(billed(null, true)).toBeNull();
  });
});
