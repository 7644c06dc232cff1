import type { ApiError, Wording } from '../errors.ts';

export function invalidRequest(
  message: string,
  param: string | null = null,
  code: string | null = null,
): ApiError {
  return { status: 400, message, type: 'invalid_request_error', param, code };
}

/** Errors as OpenAI words them. */
export const openaiWording: Wording = {
  invalid: invalidRequest,
  wrongApiKey: (secret) => ({
    ...invalidRequest(`Incorrect API key provided: ${secret}.`, null, 'invalid_api_key'),
    status: 401,
  }),
  rateLimited: (retryAfterSeconds) => ({
    status: 429,
    message: `Rate limit reached for requests. Please try again in ${retryAfterSeconds}s.`,
    type: 'requests',
    param: null,
    code: 'rate_limit_exceeded',
  }),
  serverError: () => ({
    status: 500,
    message: 'The server had an error while processing your request. Sorry about that!',
    type: 'server_error',
    param: null,
    code: null,
  }),
  overloaded: () => ({
    ...openaiWording.serverError(),
    status: 503,
    message: 'The engine is currently overloaded, please try again later.',
  }),
  bodyTooLarge: (limitBytes) => ({
    ...invalidRequest(`The request body is larger than the ${limitBytes} bytes that are permitted.`),
    status: 413,
  }),
  unknownUrl: (method, path) => ({ ...invalidRequest(`Invalid URL (${method} ${path})`), status: 404 }),
  methodNotAllowed: (method, path) => ({
    ...invalidRequest(`Not allowed to ${method} on ${path}.`, null, 'method_not_supported'),
    status: 405,
  }),
  body: ({ message, type, param, code }) => JSON.stringify({ error: { message, type, param, code } }),
  headers: (requestId) => ({ 'x-request-id': requestId }),
};
