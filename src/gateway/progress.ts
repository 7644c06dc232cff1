import type { Charge } from '../domain/charge.ts';
import type { Clock } from '../domain/clock.ts';
import type { ErrorCode } from '../domain/errors.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import type { Outcome, UsageRecord } from '../domain/transaction.ts';
import type { MeteredUsage } from '../domain/usage.ts';
import type { Limit } from '../hot-state/hot-state.ts';
import type { RequestSummary } from '../observability/observer.ts';
import type { RequestSpans } from '../observability/tracer.ts';
import type { ResponseHeaders } from './request.ts';

type Known = { -readonly [Member in keyof RequestSummary]: RequestSummary[Member] };

const maxTextLength = 500;

/** A provider's words as the ledger can hold them: SQL text has no NUL, and nobody reads a novel there. */
export function storable(text: string): string {
  return text.replaceAll('\0', '').slice(0, maxTextLength).toWellFormed();
}

/** What is known of a request so far: times for its usage record, and the summary for who watches. */
export class Progress {
  /** Null where it isn't traced. */
  readonly spans: RequestSpans | null;
  readonly #clock: Clock;
  readonly #arrivedAtMs: number;
  readonly #known: Known = {
    traceId: null,
    tenantId: null,
    apiKeyId: null,
    model: null,
    provider: null,
    stream: null,
    code: null,
    outcome: null,
    transactionId: null,
    metered: null,
    charge: null,
    unpriced: [],
    exceeded: null,
    latencyMs: 0,
    timeToFirstByteMs: null,
  };

  constructor(clock: Clock, arrivedAtMs: number, spans: RequestSpans | null = null) {
    this.spans = spans;
    this.#clock = clock;
    this.#arrivedAtMs = arrivedAtMs;
  }

  #limitHeaders: ResponseHeaders = {};

  get traceId(): TraceId | null {
    return this.#known.traceId;
  }

  /** Whether the head of an answer was sent. */
  get answering(): boolean {
    return this.#known.timeToFirstByteMs !== null;
  }

  authenticated(tenantId: TenantId, apiKeyId: ApiKeyId): void {
    this.#known.tenantId = tenantId;
    this.#known.apiKeyId = apiKeyId;
  }

  traced(traceId: TraceId): void {
    this.#known.traceId = traceId;
  }

  asked(model: string, stream: boolean): void {
    this.#known.model = model;
    this.#known.stream = stream;
  }

  /** The limits were looked at: every answer from here on tells what is left of them. */
  limited(headers: ResponseHeaders, exceeded: Limit | null): void {
    this.#limitHeaders = headers;
    this.#known.exceeded = exceeded;
  }

  opened(transactionId: TransactionId): void {
    this.#known.transactionId = transactionId;
  }

  refused(code: ErrorCode): void {
    this.#known.code = code;
  }

  firstByte(): void {
    this.#known.timeToFirstByteMs = this.#elapsedMs();
  }

  committed(outcome: Outcome, provider: string, metered: MeteredUsage, { amount, fallbacks }: Charge): void {
    this.#known.outcome = outcome;
    this.#known.provider = provider;
    this.#known.metered = metered;
    this.#known.charge = amount;
    this.#known.unpriced = fallbacks
      .filter(({ chargedAs }) => chargedAs === null)
      .map(({ usageClass }) => usageClass);
  }

  voided(outcome: Outcome, provider: string): void {
    this.#known.outcome = outcome;
    this.#known.provider = provider;
  }

  record(outcome: Outcome, finishReason: string | null, error: string | null): UsageRecord {
    const stream = this.#known.stream === true;
    return {
      outcome,
      stream,
      streamCompleted: stream ? outcome === 'completed' : null,
      streamError: stream && error !== null ? storable(error) : null,
      finishReason: finishReason === null ? null : storable(finishReason),
      latencyMs: this.#elapsedMs(),
      timeToFirstByteMs: this.#known.timeToFirstByteMs,
    };
  }

  /** What ties an answer to its request: the trace id, the transaction once it is durable; and what is left of its limits. */
  ownHeaders(): ResponseHeaders {
    const { traceId, transactionId } = this.#known;
    const headers: Record<string, string | string[]> = {};
    if (traceId !== null) headers['x-request-id'] = traceId;
    if (transactionId !== null) headers['x-billing-transaction-id'] = transactionId;
    return Object.assign(headers, this.#limitHeaders);
  }

  summary(): RequestSummary {
    return { ...this.#known, latencyMs: this.#elapsedMs() };
  }

  #elapsedMs(): number {
    return this.#clock.monotonic() - this.#arrivedAtMs;
  }
}
