import type { ErrorCode, Refusal } from '../../domain/errors.ts';
import { asObject, asText } from '../json.ts';

/** OpenAI's `type` of each error: official clients show it, and choose their exception by the status. */
const errorTypes: Readonly<Record<ErrorCode, string>> = {
  API_KEY_INVALID: 'authentication_error',
  API_KEY_FORBIDDEN: 'permission_error',
  QUOTA_BALANCE_EXCEEDED: 'insufficient_quota',
  QUOTA_DAILY_EXCEEDED: 'insufficient_quota',
  QUOTA_MONTHLY_EXCEEDED: 'insufficient_quota',
  API_KEY_QUOTA_EXCEEDED: 'insufficient_quota',
  RATE_LIMIT_RPM_EXCEEDED: 'rate_limit_exceeded',
  RATE_LIMIT_TPM_EXCEEDED: 'rate_limit_exceeded',
  CONCURRENCY_LIMIT_EXCEEDED: 'rate_limit_exceeded',
  IDEMPOTENCY_CONFLICT: 'invalid_request_error',
  REQUEST_IN_PROGRESS: 'invalid_request_error',
  REQUEST_ALREADY_BILLED: 'invalid_request_error',
  REQUEST_INVALID: 'invalid_request_error',
  REQUEST_TOO_LARGE: 'invalid_request_error',
  REQUEST_TOO_SLOW: 'invalid_request_error',
  MODEL_NOT_FOUND: 'invalid_request_error',
  MODEL_NOT_PRICED: 'invalid_request_error',
  NOT_FOUND: 'invalid_request_error',
  ALREADY_EXISTS: 'invalid_request_error',
  UPSTREAM_UNAVAILABLE: 'upstream_error',
  UPSTREAM_TIMEOUT: 'upstream_error',
  LEDGER_UNAVAILABLE: 'server_error',
  HOT_STATE_UNAVAILABLE: 'server_error',
  OVERLOADED: 'server_error',
  INTERNAL: 'server_error',
};

function errorJson({ code, message, param }: Refusal): string {
  return JSON.stringify({ error: { message, type: errorTypes[code], param: param ?? null, code } });
}

export function errorBody(refusal: Refusal): Buffer {
  return Buffer.from(errorJson(refusal));
}

/** A chunk with an `error` member: the official clients raise their APIError on it, whatever its event type. */
export function errorEvent(refusal: Refusal): Buffer {
  return Buffer.from(`data: ${errorJson(refusal)}\n\n`);
}

/** Enough to recognise an error by; the client has the whole of it. */
const longestMessage = 500;

/** The message of an `error` member as providers send it: an object, or a text; null where there is none. */
export function errorMessage(error: unknown): string | null {
  if (error === undefined || error === null || error === false || error === '') return null;
  const { message, code, type } = asObject(error) ?? {};
  const text = asText(error) ?? asText(message) ?? asText(type) ?? asText(code) ?? 'unnamed error';
  return text.slice(0, longestMessage);
}
