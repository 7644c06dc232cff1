import type { ApiError, Wording } from '../errors.ts';

/** Google's name of each status. */
const nameOfStatus: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

function apiError(status: number, message: string): ApiError {
  return { status, message, type: nameOfStatus[status] ?? 'UNKNOWN', param: null, code: null };
}

/** Marks the one error that Google sends details with, in place of OpenAI's codes. */
const wrongApiKeyCode = 'API_KEY_INVALID';

/** Errors as Google words them. */
export const geminiWording: Wording = {
  invalid: (message) => apiError(400, message),
  // Google's status for a wrong API key is 400.
  wrongApiKey: () => ({
    ...apiError(400, 'API key not valid. Please pass a valid API key.'),
    code: wrongApiKeyCode,
  }),
  rateLimited: (seconds) => apiError(429, `You exceeded your current quota. Please retry in ${seconds}s.`),
  serverError: () => apiError(500, 'An internal error has occurred. Please retry or report.'),
  overloaded: () => apiError(503, 'The model is overloaded. Please try again later.'),
  bodyTooLarge: (limitBytes) => apiError(400, `Request payload size exceeds the limit: ${limitBytes} bytes.`),
  unknownUrl: (method, path) => apiError(404, `There is no ${method} ${path}.`),
  methodNotAllowed: (method, path) => apiError(404, `There is no ${method} ${path}.`),
  body: (error) => JSON.stringify(errorObject(error)),
  headers: () => ({}),
};

function errorObject({ status, message, type, code }: ApiError) {
  const info = {
    '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
    reason: wrongApiKeyCode,
    domain: 'googleapis.com',
    metadata: { service: 'generativelanguage.googleapis.com' },
  };
  const details = code === wrongApiKeyCode ? { details: [info] } : {};
  return { error: { code: status, message, status: type, ...details } };
}
