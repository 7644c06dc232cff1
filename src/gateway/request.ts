import type { ClientCall, Dialect } from '../dialects/dialect.ts';
import type { Cancellation } from '../domain/cancellation.ts';
import type { Refusal } from '../domain/errors.ts';
import type { SecretHash } from '../domain/ids.ts';
import type { RequestSpans } from '../observability/tracer.ts';

/** Header names are lower case. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;
export type ResponseHeaders = Readonly<Record<string, string | string[]>>;

/** Who sends a request, as far as the request tells. */
export interface Caller {
  readonly headers: RequestHeaders;
  /** The client's IP address; behind proxies that are trusted, the one that they name. */
  readonly address: string;
  /** Of its secret, where somebody has hashed that before. */
  readonly secretHash?: SecretHash | undefined;
}

/** A request as it arrived, free of the web framework. */
export interface GatewayRequest extends Caller {
  readonly dialect: Dialect;
  readonly call: ClientCall;
  /** By the monotonic clock. */
  readonly arrivedAtMs: number;
  /** Null where it isn't traced. */
  readonly spans: RequestSpans | null;
}

/** The connection back to whoever asked. */
export interface Client {
  /** Aborted when the client hung up before the answer was complete. */
  readonly gone: Cancellation;
  /** Sends the head of the answer; at most once. */
  start(head: ResponseHead): void;
  /** False: the client reads more slowly than we write, and `drained` says when to go on. */
  write(bytes: Buffer): boolean;
  /** Resolves when the client has caught up, or is gone. */
  drained(): Promise<void>;
  /** Completes the answer. */
  end(bytes?: Buffer): void;
  /** Breaks it off, so that no client takes what it has as complete. */
  abandon(): void;
}

export type ResponseHead =
  | { readonly kind: 'upstream'; readonly status: number; readonly headers: ResponseHeaders }
  /** The status follows from the code, which is for `http/` to know. */
  | { readonly kind: 'refusal'; readonly refusal: Refusal; readonly headers: ResponseHeaders };
