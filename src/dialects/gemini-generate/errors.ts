import type { ErrorCode, Refusal } from '../../domain/errors.ts';

/** An HTTP status, which Google repeats in the body, and its name for the kind of error. */
type WireStatus = readonly [httpStatus: number, status: string];

const wireStatuses: Readonly<Record<ErrorCode, WireStatus>> = {
  API_KEY_INVALID: [401, 'UNAUTHENTICATED'],
  API_KEY_FORBIDDEN: [403, 'PERMISSION_DENIED'],
  QUOTA_BALANCE_EXCEEDED: [402, 'FAILED_PRECONDITION'],
  QUOTA_DAILY_EXCEEDED: [429, 'RESOURCE_EXHAUSTED'],
  QUOTA_MONTHLY_EXCEEDED: [429, 'RESOURCE_EXHAUSTED'],
  API_KEY_QUOTA_EXCEEDED: [429, 'RESOURCE_EXHAUSTED'],
  RATE_LIMIT_RPM_EXCEEDED: [429, 'RESOURCE_EXHAUSTED'],
  RATE_LIMIT_TPM_EXCEEDED: [429, 'RESOURCE_EXHAUSTED'],
  CONCURRENCY_LIMIT_EXCEEDED: [429, 'RESOURCE_EXHAUSTED'],
  IDEMPOTENCY_CONFLICT: [422, 'INVALID_ARGUMENT'],
  REQUEST_IN_PROGRESS: [409, 'ABORTED'],
  REQUEST_ALREADY_BILLED: [409, 'ALREADY_EXISTS'],
  REQUEST_INVALID: [400, 'INVALID_ARGUMENT'],
  REQUEST_TOO_LARGE: [413, 'INVALID_ARGUMENT'],
  REQUEST_TOO_SLOW: [408, 'DEADLINE_EXCEEDED'],
  MODEL_NOT_FOUND: [404, 'NOT_FOUND'],
  MODEL_NOT_PRICED: [404, 'NOT_FOUND'],
  NOT_FOUND: [404, 'NOT_FOUND'],
  ALREADY_EXISTS: [409, 'ALREADY_EXISTS'],
  UPSTREAM_UNAVAILABLE: [502, 'UNAVAILABLE'],
  UPSTREAM_TIMEOUT: [504, 'DEADLINE_EXCEEDED'],
  LEDGER_UNAVAILABLE: [503, 'UNAVAILABLE'],
  HOT_STATE_UNAVAILABLE: [503, 'UNAVAILABLE'],
  OVERLOADED: [503, 'UNAVAILABLE'],
  INTERNAL: [500, 'INTERNAL'],
};

const typePrefix = 'type.googleapis.com/google.rpc.';

/** Our code as Google puts its own, and, as it also does, which member is at fault and when to try again. */
function detailsOf({ code, message, param, retryAfterSeconds }: Refusal): readonly object[] {
  const details: object[] = [{ '@type': `${typePrefix}ErrorInfo`, reason: code, domain: 'tollgate' }];
  if (param !== undefined) {
    const fieldViolations = [{ field: param, description: message }];
    details.push({ '@type': `${typePrefix}BadRequest`, fieldViolations });
  }
  if (retryAfterSeconds !== undefined) {
    details.push({ '@type': `${typePrefix}RetryInfo`, retryDelay: `${retryAfterSeconds}s` });
  }
  return details;
}

/** Google's `{"error": {…}}`: its official client raises an ApiError on it, in the middle of a stream too. */
export function errorBody(refusal: Refusal): Buffer {
  const [httpStatus, status] = wireStatuses[refusal.code];
  const error = { code: httpStatus, message: refusal.message, status, details: detailsOf(refusal) };
  return Buffer.from(JSON.stringify({ error }));
}

export function errorEvent(refusal: Refusal): Buffer {
  return Buffer.from(`data: ${errorBody(refusal)}\n\n`);
}
