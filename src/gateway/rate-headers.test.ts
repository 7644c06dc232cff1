import { describe, expect, it } from 'vitest';
import { nano } from '../domain/money.ts';
import type { Remaining } from '../hot-state/hot-state.ts';
import { rateHeaders } from './rate-headers.ts';

const nowMs = Date.parse('2026-11-23T12:00:00.250Z');

const remaining = (resetsInMs: number): Remaining => ({
  available: nano(0n),
  dailyRequests: null,
  monthlyRequests: null,
  apiKey: { requests: null, tokens: null, amount: null },
  requestsPerMinute: null,
  tokensPerMinute: { limit: 1_000_000, remaining: 999_000, resetsInMs },
});

const resetOf = (resetsInMs: number) =>
  rateHeaders(remaining(resetsInMs), 'openai.responses', nowMs)['x-ratelimit-reset-tokens'];

describe('what is left of the minute', () => {
  it('is told only where there is a limit', () => {
    expect(Object.keys(rateHeaders(remaining(0), 'gemini.generate', nowMs))).toEqual([
      'x-ratelimit-limit-tokens',
      'x-ratelimit-remaining-tokens',
      'x-ratelimit-reset-tokens',
    ]);
  });

  it("is told as OpenAI's durations", () => {
    expect([0, 17, 1_000, 8_640, 59_999, 60_000, 60_500].map(resetOf)).toEqual([
      ...['0s', '17ms', '1s', '8.64s', '59.999s', '1m0s', '1m0.5s'],
    ]);
  });

  it("is told as Anthropic's moments, never before it is so", () => {
    expect(rateHeaders(remaining(1_000), 'anthropic.messages', nowMs)).toEqual({
      'anthropic-ratelimit-tokens-limit': '1000000',
      'anthropic-ratelimit-tokens-remaining': '999000',
      'anthropic-ratelimit-tokens-reset': '2026-11-23T12:00:02Z',
    });
  });
});
