import type { IncomingHttpHeaders } from 'node:http';
import type { Usage } from './usage.ts';

/**
 * How a request ended: `completed` with all that was asked for; `refused` with an error status;
 * `broken` by a fault that was asked for; `aborted` by the client.
 */
export type Outcome = 'completed' | 'refused' | 'broken' | 'aborted';

/** A request as it arrived, and what was sent to it so far. */
export interface ReceivedRequest {
  readonly method: string;
  /** Without the query, percent-encoded as it came. */
  readonly path: string;
  /** From the question mark on; empty where there is none. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The model with its directives, once the body was understood. */
  readonly model: string | null;
  readonly status: number | null;
  readonly outcome: Outcome | 'open';
  /** Bytes of the body that were handed to the connection. */
  readonly bytesSent: number;
  /** Events of a stream, `[DONE]` included, junk excluded. */
  readonly eventsSent: number;
  /** Tokens of the text that was sent; of a body that is no stream, all or none. */
  readonly tokensSent: number;
  /** What the whole answer uses, whatever the usage that was sent says; null when there is none, or it is free. */
  readonly usage: Usage | null;
}

/** The same, for the one who answers it. */
export type OpenRequest = { -readonly [Member in keyof ReceivedRequest]: ReceivedRequest[Member] };

/** What a simulator has received since it started or was last cleared. */
export interface RequestLog extends Readonly<Record<Outcome, number>> {
  readonly count: number;
  readonly open: number;
  readonly bytesSent: number;
  readonly eventsSent: number;
  readonly tokensSent: number;
  /** The latest requests, oldest first: a thousand at most, and 64 MB of bodies. */
  readonly recent: readonly ReceivedRequest[];
  readonly last: ReceivedRequest | undefined;
  /** Resolves once no request is open. */
  settled(): Promise<void>;
  /** Forgets the closed requests and sets the counters to zero. */
  clear(): void;
}

export type Arrival = Pick<ReceivedRequest, 'method' | 'path' | 'query' | 'headers' | 'body'>;

const keptRequests = 1000;
const keptBodyLength = 64 * 1024 * 1024;

export class RecordingLog implements RequestLog {
  count = 0;
  open = 0;
  completed = 0;
  refused = 0;
  broken = 0;
  aborted = 0;
  bytesSent = 0;
  eventsSent = 0;
  tokensSent = 0;
  readonly recent: OpenRequest[] = [];
  #bodyLength = 0;
  #waiting: (() => void)[] = [];

  get last(): ReceivedRequest | undefined {
    return this.recent.at(-1);
  }

  add(arrival: Arrival): OpenRequest {
    const request: OpenRequest = {
      ...arrival,
      model: null,
      status: null,
      outcome: 'open',
      bytesSent: 0,
      eventsSent: 0,
      tokensSent: 0,
      usage: null,
    };
    this.count += 1;
    this.open += 1;
    this.recent.push(request);
    this.#bodyLength += request.body.length;
    while (
      this.recent.length > keptRequests ||
      (this.#bodyLength > keptBodyLength && this.recent.length > 1)
    ) {
      this.#bodyLength -= this.recent.shift()?.body.length ?? 0;
    }
    return request;
  }

  close(request: OpenRequest, outcome: Outcome): void {
    request.outcome = outcome;
    this[outcome] += 1;
    this.bytesSent += request.bytesSent;
    this.eventsSent += request.eventsSent;
    this.tokensSent += request.tokensSent;
    this.open -= 1;
    if (this.open > 0) return;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async settled(): Promise<void> {
    if (this.open > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  clear(): void {
    const stillOpen = this.recent.filter(({ outcome }) => outcome === 'open');
    this.recent.splice(0, this.recent.length, ...stillOpen);
    this.#bodyLength = stillOpen.reduce((sum, { body }) => sum + body.length, 0);
    this.count = this.open;
    this.completed = this.refused = this.broken = this.aborted = 0;
    this.bytesSent = this.eventsSent = this.tokensSent = 0;
  }
}
