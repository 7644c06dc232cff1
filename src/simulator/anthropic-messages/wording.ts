import type { ApiError, Wording } from '../errors.ts';

/** Anthropic's name of the errors of each status. */
const typeOfStatus: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  529: 'overloaded_error',
};

function apiError(status: number, message: string): ApiError {
  return { status, message, type: typeOfStatus[status] ?? 'api_error', param: null, code: null };
}

/** Errors as Anthropic words them. */
export const anthropicWording: Wording = {
  invalid: (message) => apiError(400, message),
  wrongApiKey: () => apiError(401, 'invalid x-api-key'),
  rateLimited: (seconds) =>
    apiError(429, `This request would exceed your rate limit. Please try again in ${seconds}s.`),
  serverError: () => apiError(500, 'Internal server error'),
  overloaded: () => apiError(529, 'Overloaded'),
  bodyTooLarge: () => apiError(413, 'Request exceeds the maximum size'),
  unknownUrl: () => apiError(404, 'Not Found'),
  methodNotAllowed: () => ({ ...apiError(405, 'Method Not Allowed'), type: 'invalid_request_error' }),
  body: ({ type, message }, requestId) =>
    JSON.stringify({ type: 'error', error: { type, message }, request_id: requestId }),
  headers: (requestId) => ({ 'request-id': requestId }),
};
