import type { Cancellation } from '../domain/cancellation.ts';

/** One HTTP exchange with a provider. */
export interface UpstreamCall {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly headersTimeoutMs: number;
  /** How long the body may pause between two reads. */
  readonly idleTimeoutMs: number;
  /** Ends the exchange at once, whatever it is doing. */
  readonly signal: Cancellation;
}

/** The provider answered; its body is still to be read, to the end or until the signal. */
export interface UpstreamResponse {
  readonly kind: 'response';
  readonly status: number;
  /** Lower-case names; of a header that came several times, all values. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: UpstreamBody;
}

/** Plain bytes, whatever encoding they came in. Reading throws UpstreamBodyError. */
export interface UpstreamBody extends AsyncIterable<Buffer> {
  /**
   * Reads without a promise for each piece, where the body can: hands over one after the other as they come, until
   * `take` returns false, and then resolves to true; at the end of the body to false. What it throws is thrown.
   */
  readonly takeEach?: (take: (bytes: Buffer) => boolean) => Promise<boolean>;
}

/** Nothing came back. */
export interface Unreachable {
  readonly kind: 'unreachable';
  /** Whether the request was put on a connection: the provider may then have worked on it. */
  readonly sent: boolean;
  readonly reason: 'connection' | 'timeout' | 'aborted';
  readonly cause: unknown;
}

/** Why a body ended before its end. */
export class UpstreamBodyError extends Error {
  override readonly name = 'UpstreamBodyError';
  readonly reason: 'cut' | 'timeout' | 'aborted';

  constructor(reason: 'cut' | 'timeout' | 'aborted', options?: ErrorOptions) {
    super(`upstream's body ended early: ${reason}`, options);
    this.reason = reason;
  }
}

/** The way to the providers: pooled connections, no retries. */
export interface UpstreamClient {
  send(call: UpstreamCall): Promise<UpstreamResponse | Unreachable>;
  close(): Promise<void>;
}
