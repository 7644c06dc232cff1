import { type Refusal, refusal, unreachable } from '../domain/errors.ts';
import { formatAmount, type NanoUsd, nano } from '../domain/money.ts';
import type { Denied } from '../hot-state/hot-state.ts';

/** What was asked for, as far as it explains a denial. */
export interface DeniedRequest {
  readonly holdAmount: NanoUsd;
  /** Input and output tokens at the most. */
  readonly tokens: number;
  /** Output tokens that the balance pays for; null where that isn't known, or output is free. */
  readonly affordable: number | null;
}

/** When an open request ends isn't known: it is worth a try then. */
const retryOpenAfterSeconds = 1;

/** Why a limit stands in the way, for the client. */
export function denial({ limit, remaining, freesInMs }: Denied, asked: DeniedRequest): Refusal {
  const retry = freesInMs === null ? {} : { retryAfterSeconds: Math.max(1, Math.ceil(freesInMs / 1000)) };
  switch (limit) {
    case 'balance':
      return refusal('QUOTA_BALANCE_EXCEEDED', balanceMessage(remaining.available, asked));
    case 'daily_requests':
      return refusal(
        'QUOTA_DAILY_EXCEEDED',
        "The day's requests are used up. Nothing was charged; they begin anew at midnight.",
        retry,
      );
    case 'monthly_requests':
      return refusal(
        'QUOTA_MONTHLY_EXCEEDED',
        "The month's requests are used up. Nothing was charged; they begin anew with the month.",
        retry,
      );
    case 'requests_per_minute':
    case 'api_key_requests_per_minute':
      return rateRefusal(
        'RATE_LIMIT_RPM_EXCEEDED',
        `The requests a minute of ${whose(limit)} are used up.`,
        retry,
      );
    case 'tokens_per_minute':
    case 'api_key_tokens_per_minute': {
      const what = `This request may use up to ${asked.tokens} tokens, more than ${whose(limit)} has left in this minute`;
      return rateRefusal('RATE_LIMIT_TPM_EXCEEDED', `${what}.`, retry);
    }
    case 'api_key_requests':
      return keyRefusal("This API key's requests are used up.", retry);
    case 'api_key_tokens': {
      const left = leastZero(remaining.apiKey.tokens);
      return keyRefusal(
        `This request may use up to ${asked.tokens} tokens, and this API key has ${left} left.`,
        retry,
      );
    }
    case 'api_key_amount': {
      const left = formatAmount(nano(leastZero(remaining.apiKey.amount)));
      const what = `This request may cost up to ${formatAmount(asked.holdAmount)}, and this API key may spend ${left} more`;
      return keyRefusal(`${what} (affordable output tokens: ${Math.max(0, asked.affordable ?? 0)}).`, retry);
    }
    case 'open_requests':
    case 'api_key_open_requests':
      return refusal(
        'CONCURRENCY_LIMIT_EXCEEDED',
        `As many requests of ${whose(limit)} are open as may be at once. Nothing was charged.`,
        { retryAfterSeconds: retryOpenAfterSeconds },
      );
    default:
      return unreachable(limit);
  }
}

function leastZero(left: bigint | null): bigint {
  return left === null || left < 0n ? 0n : left;
}

/** Without a time to wait there is no period that would begin anew for it. */
function keyRefusal(why: string, retry: { readonly retryAfterSeconds?: number }): Refusal {
  const advice =
    retry.retryAfterSeconds === undefined
      ? 'ask for less, or for a larger quota of this API key'
      : 'ask for less, or try again when the quota begins anew';
  return refusal(
    'API_KEY_QUOTA_EXCEEDED',
    `${why} Nothing was charged; ${advice}.`,
    retry.retryAfterSeconds === undefined ? { isHopeless: true } : retry,
  );
}

function whose(limit: string): string {
  return limit.startsWith('api_key') ? 'this API key' : 'this tenant';
}

function rateRefusal(
  code: 'RATE_LIMIT_RPM_EXCEEDED' | 'RATE_LIMIT_TPM_EXCEEDED',
  why: string,
  retry: { readonly retryAfterSeconds?: number },
): Refusal {
  return retry.retryAfterSeconds === undefined
    ? refusal(
        code,
        `${why} The limit is below what it needs, so that it never passes. Nothing was charged.`,
        {
          isHopeless: true,
        },
      )
    : refusal(code, `${why} Nothing was charged; try again in ${retry.retryAfterSeconds} s.`, retry);
}

function balanceMessage(available: NanoUsd, { holdAmount, affordable }: DeniedRequest): string {
  const advice =
    affordable === null || affordable <= 0
      ? 'Top up the balance.'
      : `Ask for at most ${affordable} output tokens, or top up the balance.`;
  return (
    `This request may cost up to ${formatAmount(holdAmount)}, and ${formatAmount(available)} is available ` +
    `(affordable output tokens: ${Math.max(0, affordable ?? 0)}). Nothing was charged. ${advice}`
  );
}
