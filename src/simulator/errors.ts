/** A refusal in the words of a provider, before it is put into the shape of that provider's errors. */
export interface ApiError {
  readonly status: number;
  readonly message: string;
  /** The provider's own class of errors. */
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What was understood, or the refusal that says why it was not. */
export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: ApiError };

/** How a provider says what went wrong. */
export interface Wording {
  invalid(message: string, param?: string | null, code?: string | null): ApiError;
  wrongApiKey(secret: string): ApiError;
  rateLimited(retryAfterSeconds: number): ApiError;
  serverError(): ApiError;
  overloaded(): ApiError;
  bodyTooLarge(limitBytes: number): ApiError;
  unknownUrl(method: string, path: string): ApiError;
  methodNotAllowed(method: string, path: string): ApiError;
  /** The error's body, as JSON. */
  body(error: ApiError, requestId: string): string;
  /** The headers by which the provider names a request. */
  headers(requestId: string): Readonly<Record<string, string>>;
}
