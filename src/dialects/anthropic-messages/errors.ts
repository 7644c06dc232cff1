import type { ErrorCode, Refusal } from '../../domain/errors.ts';
import { asObject, asText } from '../json.ts';

/**
 * Anthropic's `type` of each error, as it documents them by status. Official clients choose their
 * exception by the status, and in the middle of a stream, which has none, only show the type.
 */
const errorTypes: Readonly<Record<ErrorCode, string>> = {
  API_KEY_INVALID: 'authentication_error',
  API_KEY_FORBIDDEN: 'permission_error',
  QUOTA_BALANCE_EXCEEDED: 'billing_error',
  QUOTA_DAILY_EXCEEDED: 'rate_limit_error',
  QUOTA_MONTHLY_EXCEEDED: 'rate_limit_error',
  API_KEY_QUOTA_EXCEEDED: 'rate_limit_error',
  RATE_LIMIT_RPM_EXCEEDED: 'rate_limit_error',
  RATE_LIMIT_TPM_EXCEEDED: 'rate_limit_error',
  CONCURRENCY_LIMIT_EXCEEDED: 'rate_limit_error',
  IDEMPOTENCY_CONFLICT: 'invalid_request_error',
  REQUEST_IN_PROGRESS: 'conflict_error',
  REQUEST_ALREADY_BILLED: 'conflict_error',
  REQUEST_INVALID: 'invalid_request_error',
  REQUEST_TOO_LARGE: 'request_too_large',
  REQUEST_TOO_SLOW: 'timeout_error',
  MODEL_NOT_FOUND: 'not_found_error',
  MODEL_NOT_PRICED: 'not_found_error',
  NOT_FOUND: 'not_found_error',
  ALREADY_EXISTS: 'conflict_error',
  UPSTREAM_UNAVAILABLE: 'api_error',
  UPSTREAM_TIMEOUT: 'timeout_error',
  LEDGER_UNAVAILABLE: 'overloaded_error',
  HOT_STATE_UNAVAILABLE: 'overloaded_error',
  OVERLOADED: 'overloaded_error',
  INTERNAL: 'api_error',
};

function errorJson({ code, message, param }: Refusal): string {
  // The official clients show `details.error_code` as the error's own code.
  const details = { error_code: code, ...(param === undefined ? {} : { param }) };
  return JSON.stringify({ type: 'error', error: { type: errorTypes[code], message, code, details } });
}

export function errorBody(refusal: Refusal): Buffer {
  return Buffer.from(errorJson(refusal));
}

/** The official clients raise their APIError on the event's type alone, wherever in a stream it stands. */
export function errorEvent(refusal: Refusal): Buffer {
  return Buffer.from(`event: error\ndata: ${errorJson(refusal)}\n\n`);
}

/** Enough to recognise an error by; the client has the whole of it. */
const longestMessage = 500;

/** What an `error` member says, its type first: "overloaded_error: Overloaded". */
export function errorMessage(error: unknown): string {
  const { type, message } = asObject(error) ?? {};
  const words = [asText(type), asText(message) ?? asText(error)].filter((word) => word !== null);
  return (words.join(': ') || 'unnamed error').slice(0, longestMessage);
}
