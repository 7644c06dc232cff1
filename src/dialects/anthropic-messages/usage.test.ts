import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inputTokens, outputTokens } from '../../domain/usage.ts';
import type { JsonObject } from '../json.ts';
import { overlay, readUsage } from './usage.ts';

const tokens = (input: unknown, output: unknown, others: JsonObject = {}) => ({
  input_tokens: input,
  output_tokens: output,
  ...others,
});
const cached = (read: unknown, written: unknown, short?: unknown, long?: unknown) => ({
  cache_read_input_tokens: read,
  cache_creation_input_tokens: written,
  cache_creation:
    short === undefined ? undefined : { ephemeral_5m_input_tokens: short, ephemeral_1h_input_tokens: long },
});

describe('the usage of a message', () => {
  test.each([
    ['only input and output', tokens(10, 5), { input: 10, output: 5 }],
    [
      'input is net of the cache already',
      tokens(3, 5, cached(2_000, 0)),
      { input: 3, cache_read: 2_000, cache_write_5m: 0, output: 5 },
    ],
    [
      'writes without a split live for five minutes',
      tokens(3, 5, cached(0, 70)),
      { input: 3, cache_read: 0, cache_write_5m: 70, output: 5 },
    ],
    [
      'writes by their lifetime',
      tokens(3, 5, cached(0, 70, 20, 50)),
      { input: 3, cache_read: 0, cache_write_5m: 20, cache_write_1h: 50, output: 5 },
    ],
    [
      'more written in all than the split says: the rest lives for five minutes',
      tokens(3, 5, cached(0, 100, 20, 50)),
      { input: 3, cache_read: 0, cache_write_5m: 50, cache_write_1h: 50, output: 5 },
    ],
    [
      'less written in all than the split says: never more than in all',
      tokens(3, 5, cached(0, 30, 20, 50)),
      { input: 3, cache_read: 0, cache_write_5m: 0, cache_write_1h: 30, output: 5 },
    ],
    [
      'a split without a total',
      tokens(3, 5, cached(undefined, undefined, 20, 50)),
      { input: 3, cache_write_5m: 20, cache_write_1h: 50, output: 5 },
    ],
    [
      'thinking is part of the output',
      tokens(10, 50, { output_tokens_details: { thinking_tokens: 30 } }),
      { input: 10, output: 20, reasoning: 30 },
    ],
    [
      'more thinking than output is all of it',
      tokens(10, 5, { output_tokens_details: { thinking_tokens: 30 } }),
      { input: 10, output: 0, reasoning: 5 },
    ],
    [
      "what the provider's tools did is counted beside the tokens, a zero isn't",
      tokens(10, 5, { server_tool_use: { web_search_requests: 3, web_fetch_requests: 0 } }),
      { input: 10, output: 5, web_search: 3 },
    ],
    ['an explicit zero', tokens(0, 0), { input: 0, output: 0 }],
    [
      'nulls and anything else beside it',
      tokens(10, 5, {
        ...cached(null, null),
        cache_creation: null,
        server_tool_use: null,
        iterations: null,
        speed: 'standard',
      }),
      { input: 10, output: 5 },
    ],
  ])('%s', (_, usage, expected) => {
    expect(readUsage(usage)).toEqual({ own: expected, others: [] });
  });

  test.each([
    ['negative', -1],
    ['fractional', 1.5],
    ['a text', '7'],
    ['more than any context holds', 100_000_001],
    ['true', true],
    ['an object', {}],
  ])('a count that is %s makes the usage unusable, whichever count it is', (_, count) => {
    for (const usage of [
      tokens(count, 5),
      tokens(10, count),
      tokens(10, 5, cached(count, 0)),
      tokens(10, 5, cached(0, count)),
      tokens(10, 5, cached(0, 0, count, 0)),
      tokens(10, 5, cached(0, 0, 0, count)),
      tokens(10, 5, { output_tokens_details: { thinking_tokens: count } }),
      tokens(10, 5, { server_tool_use: { web_search_requests: count } }),
      tokens(10, 5, { iterations: [{ type: 'compaction', ...tokens(count, 1) }] }),
    ]) {
      expect(readUsage(usage), JSON.stringify(usage)).toBeNull();
    }
  });

  test('usage without input or output is no usage', () => {
    for (const usage of [{}, { input_tokens: 3 }, { output_tokens: 3 }, tokens(null, 3)]) {
      expect(readUsage(usage)).toBeNull();
    }
  });

  test('classes never overlap: they add up to what the counters say', () => {
    const count = fc.nat({ max: 1_000 });
    const maybe = fc.option(count, { nil: undefined });
    fc.assert(
      fc.property(
        fc.record({ input: count, output: count, read: maybe, written: maybe, thinking: maybe }),
        fc.option(fc.tuple(count, count), { nil: undefined }),
        ({ input, output, read, written, thinking }, split) => {
          const usage = tokens(input, output, {
            ...cached(read, written, split?.[0], split?.[1]),
            output_tokens_details: { thinking_tokens: thinking },
          });
          const own = readUsage(usage)?.own ?? {};
          const writes = written ?? (split === undefined ? 0 : split[0] + split[1]);
          expect(inputTokens(own)).toBe(input + (read ?? 0) + writes);
          expect(outputTokens(own)).toBe(output);
          expect(Object.values(own).every((value) => Number(value) >= 0)).toBe(true);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('no junk in the place of usage brings the reader down', () => {
    const names = fc.constantFrom(
      'input_tokens',
      'output_tokens',
      'cache_creation',
      'iterations',
      'server_tool_use',
      '__proto__',
    );
    fc.assert(
      fc.property(fc.dictionary(names, fc.jsonValue()), (usage) => {
        const read = readUsage(usage as JsonObject);
        expect(read === null || Object.values(read.own).every((count) => Number.isSafeInteger(count))).toBe(
          true,
        );
      }),
    );
  });
});

describe('iterations', () => {
  const message = (input: number, output: number, model?: string) => ({
    type: 'message',
    ...tokens(input, output),
    model,
  });

  test('messages are in the counters at the top already', () => {
    const usage = tokens(30, 7, { iterations: [message(10, 3), message(20, 4)] });
    expect(readUsage(usage)).toEqual({ own: { input: 30, output: 7 }, others: [] });
  });

  test('a compaction is the same model at work beside them, in each of its classes', () => {
    const compaction = { type: 'compaction', ...tokens(60_000, 500, cached(40, 30, 10, 20)) };
    expect(readUsage(tokens(600, 2_000, { iterations: [compaction, message(600, 2_000)] }))).toEqual({
      own: { input: 60_600, output: 2_500, cache_read: 40, cache_write_5m: 10, cache_write_1h: 20 },
      others: [],
    });
  });

  test('an advisor is another model at work, however often it was asked', () => {
    const advice = (input: number) => ({ type: 'advisor_message', ...tokens(input, 40), model: 'advisor-1' });
    const usage = tokens(30, 7, { iterations: [message(10, 3), advice(100), advice(200), message(20, 4)] });
    expect(readUsage(usage)).toEqual({
      own: { input: 30, output: 7 },
      others: [{ model: 'advisor-1', usage: { input: 300, output: 80 } }],
    });
  });

  test('what a later API adds beside the messages is charged, and what uses no tokens is not', () => {
    const iterations = [message(30, 7), { type: 'review', ...tokens(5, 1) }, { type: 'pause' }, null, 'x'];
    expect(readUsage(tokens(30, 7, { iterations }))).toEqual({ own: { input: 35, output: 8 }, others: [] });
  });

  test('an answer of a fallback model is charged as that model, and the attempt that wrote nothing not at all', () => {
    const fallback = { type: 'fallback_message', ...tokens(40, 9), model: 'second' };
    const searches = { server_tool_use: { web_search_requests: 1 } };
    const usage = tokens(40, 9, { iterations: [message(35, 0, 'first'), fallback], ...searches });
    expect(readUsage(usage)).toEqual({
      own: { input: 0, output: 0, web_search: 1 },
      others: [{ model: 'second', usage: { input: 40, output: 9 } }],
    });
  });

  test('an attempt that was declined in the middle is charged too, at its own price', () => {
    const iterations = [
      message(35, 6, 'first'),
      message(36, 2, 'second'),
      message(40, 3, 'third'),
      { type: 'fallback_message', ...tokens(41, 9), model: 'third' },
    ];
    expect(readUsage(tokens(41, 9, { iterations }))).toEqual({
      own: { input: 35, output: 6 },
      others: [
        { model: 'second', usage: { input: 36, output: 2 } },
        { model: 'third', usage: { input: 81, output: 12 } },
      ],
    });
  });
});

describe('counters over earlier ones', () => {
  test('replace what they say anew, also by less, and leave what they do not say', () => {
    const start = { input_tokens: 60_000, output_tokens: 1, service_tier: 'standard' };
    expect(overlay(start, { input_tokens: 600, output_tokens: 90, service_tier: null })).toEqual({
      input_tokens: 600,
      output_tokens: 90,
      service_tier: 'standard',
    });
    expect(overlay(null, start)).toEqual(start);
    expect(overlay(start, JSON.parse('{"__proto__": {"output_tokens": 7}}')).output_tokens).toBe(1);
  });
});
