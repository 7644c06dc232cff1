/** A refusal as OpenAI words it: the body's `error` object, with its status and headers. */
export interface ApiError {
  readonly status: number;
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What was understood, or the refusal that says why it was not. */
export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: ApiError };

export function errorBody({ message, type, param, code }: ApiError): string {
  return JSON.stringify({ error: { message, type, param, code } });
}

export function invalidRequest(
  message: string,
  param: string | null = null,
  code: string | null = null,
): ApiError {
  return { status: 400, message, type: 'invalid_request_error', param, code };
}

export function unknownUrl(method: string, path: string): ApiError {
  return { ...invalidRequest(`Invalid URL (${method} ${path})`), status: 404 };
}

export function methodNotAllowed(method: string, path: string): ApiError {
  return {
    ...invalidRequest(`Not allowed to ${method} on ${path}.`, null, 'method_not_supported'),
    status: 405,
  };
}

export function wrongApiKey(secret: string): ApiError {
  return {
    ...invalidRequest(`Incorrect API key provided: ${secret}.`, null, 'invalid_api_key'),
    status: 401,
  };
}

export function bodyTooLarge(limitBytes: number): ApiError {
  return {
    ...invalidRequest(`The request body is larger than the ${limitBytes} bytes that are permitted.`),
    status: 413,
  };
}

export function contextExceeded(contextTokens: number, promptTokens: number): ApiError {
  return invalidRequest(
    `This model's maximum context length is ${contextTokens} tokens. However, your messages resulted in ` +
      `at least ${promptTokens} tokens. Please reduce the length of the messages.`,
    'messages',
    'context_length_exceeded',
  );
}

export function serverError(): ApiError {
  return {
    status: 500,
    message: 'The server had an error while processing your request. Sorry about that!',
    type: 'server_error',
    param: null,
    code: null,
  };
}
