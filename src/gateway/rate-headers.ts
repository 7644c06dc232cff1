import type { DialectName } from '../catalog/catalog.ts';
import type { Remaining, RemainingRate } from '../hot-state/hot-state.ts';
import type { ResponseHeaders } from './request.ts';

/**
 * What is left of the minute, by the names that the official clients of the dialect know. Only where there is a
 * limit.
 *
 * Source: OpenAI's "Rate limits in headers" (`x-ratelimit-remaining-tokens: 149984`, `-reset-`: "6m0s") and
 * Anthropic's "Response headers" (`anthropic-ratelimit-tokens-remaining`, `-reset`: RFC 3339).
 */
export function rateHeaders(
  { requestsPerMinute, tokensPerMinute }: Remaining,
  dialect: DialectName,
  nowMs: number,
): ResponseHeaders {
  const write = dialect === 'anthropic.messages' ? anthropicHeaders : openaiHeaders;
  return {
    ...(requestsPerMinute === null ? {} : write('requests', requestsPerMinute, nowMs)),
    ...(tokensPerMinute === null ? {} : write('tokens', tokensPerMinute, nowMs)),
  };
}

function openaiHeaders(what: string, { limit, remaining, resetsInMs }: RemainingRate): ResponseHeaders {
  return {
    [`x-ratelimit-limit-${what}`]: String(limit),
    [`x-ratelimit-remaining-${what}`]: String(remaining),
    [`x-ratelimit-reset-${what}`]: duration(resetsInMs),
  };
}

function anthropicHeaders(what: string, rate: RemainingRate, nowMs: number): ResponseHeaders {
  // To the second, as Anthropic has it, and never before it is so.
  const resetsAtMs = Math.ceil((nowMs + rate.resetsInMs) / 1000) * 1000;
  return {
    [`anthropic-ratelimit-${what}-limit`]: String(rate.limit),
    [`anthropic-ratelimit-${what}-remaining`]: String(rate.remaining),
    [`anthropic-ratelimit-${what}-reset`]: new Date(resetsAtMs).toISOString().replace('.000Z', 'Z'),
  };
}

/** "0s", "17ms", "8.64s", "6m0s". */
function duration(ms: number): string {
  if (ms > 0 && ms < 1000) return `${ms}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = `${(ms - minutes * 60_000) / 1000}s`;
  return minutes === 0 ? seconds : `${minutes}m${seconds}`;
}
