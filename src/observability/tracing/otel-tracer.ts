import {
  type Attributes,
  type Context,
  type Tracer as OtelTracer,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace as traceApi,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import type { Clock } from '../../domain/clock.ts';
import { Fault } from '../../domain/errors.ts';
import { formatAmount } from '../../domain/money.ts';
import type { Outcome } from '../../domain/transaction.ts';
import type { RequestSummary } from '../observer.ts';
import type {
  ArrivedRequest,
  RequestSpans,
  Step,
  TraceableHeaders,
  TracedCall,
  Tracer,
  UpstreamAnswered,
  UpstreamEnd,
} from '../tracer.ts';
import { answerAttributes, callAttributes, callName } from './gen-ai.ts';

const propagator = new W3CTraceContextPropagator();

const headersGetter: TextMapGetter<TraceableHeaders> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, name) => headers[name],
};

/** Spans by OpenTelemetry. Contexts are handed on and never looked up: nothing is registered for the whole process. */
export function createOtelTracer(tracer: OtelTracer, clock: Clock): Tracer {
  return { requestArrived: (request) => new OtelRequestSpans(tracer, clock, request) };
}

/** An upstream that was asked. */
interface Attempt {
  readonly span: Span;
  readonly startedAtMs: number;
}

class OtelRequestSpans implements RequestSpans {
  readonly #tracer: OtelTracer;
  readonly #clock: Clock;
  readonly #span: Span;
  readonly #context: Context;
  /** The last that was asked, as long as its answer isn't read. */
  #attempt: Attempt | null = null;
  #errorType: string | null = null;

  constructor(tracer: OtelTracer, clock: Clock, { method, route, path, scheme, headers }: ArrivedRequest) {
    this.#tracer = tracer;
    this.#clock = clock;
    const parent = propagator.extract(ROOT_CONTEXT, headers, headersGetter);
    const attributes = {
      'http.request.method': method,
      'http.route': route,
      'url.path': path,
      'url.scheme': scheme,
    };
    this.#span = tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
    this.#context = traceApi.setSpan(parent, this.#span);
  }

  async step<T>(name: Step, work: () => Promise<T>): Promise<T> {
    const span = this.#tracer.startSpan(name, {}, this.#context);
    try {
      return await work();
    } catch (error) {
      fail(span, errorTypeOf(error));
      throw error;
    } finally {
      span.end();
    }
  }

  upstreamAsked(call: TracedCall, headers: TraceableHeaders): TraceableHeaders {
    this.#attempt?.span.end();
    const span = this.#tracer.startSpan(
      callName(call),
      { kind: SpanKind.CLIENT, attributes: callAttributes(call) },
      this.#context,
    );
    this.#attempt = { span, startedAtMs: this.#clock.monotonic() };
    const { traceparent: _, tracestate: __, ...others } = headers;
    const carrier: Record<string, string> = {};
    propagator.inject(traceApi.setSpan(this.#context, span), carrier, {
      set: (to, name, value) => {
        to[name] = value;
      },
    });
    return { ...others, ...carrier };
  }

  upstreamAnswered(answer: UpstreamAnswered): void {
    const span = this.#attempt?.span;
    if (span === undefined) return;
    if (answer.kind === 'unreachable') {
      // Cancelled: why is told at the end.
      if (answer.reason !== 'aborted') fail(span, answer.reason);
    } else {
      span.setAttribute('http.response.status_code', answer.status);
      if (answer.status < 200 || answer.status > 299) fail(span, String(answer.status));
    }
  }

  firstChunk(): void {
    if (this.#attempt === null) return;
    const { span, startedAtMs } = this.#attempt;
    const seconds = (this.#clock.monotonic() - startedAtMs) / 1000;
    span.setAttribute('gen_ai.response.time_to_first_chunk', seconds);
  }

  upstreamEnded(end: UpstreamEnd): void {
    if (this.#attempt === null) return;
    const { span } = this.#attempt;
    this.#attempt = null;
    span.setAttributes(answerAttributes(end));
    // A refusal has its status, which says more.
    if (isFailure(end.outcome) && end.outcome !== 'upstream_refused') fail(span, end.outcome);
    span.end();
  }

  failed(error: unknown): void {
    this.#errorType = errorTypeOf(error);
  }

  summarised(summary: RequestSummary): void {
    const { outcome, code } = summary;
    this.#span.setAttributes(summaryAttributes(summary));
    if (outcome !== null && isFailure(outcome)) this.#errorType ??= outcome;
    if (code !== null) this.#errorType = code;
  }

  ended(status: number | null): void {
    // Whatever of it wasn't waited for.
    this.#attempt?.span.end();
    this.#attempt = null;
    if (status !== null) this.#span.setAttribute('http.response.status_code', status);
    // What the client itself has to mend is no failure of the server's span.
    const isClientsOwn = status !== null && status >= 400 && status < 500;
    const errorType = this.#errorType ?? (status !== null && status >= 500 ? String(status) : null);
    if (errorType !== null && !isClientsOwn) fail(this.#span, errorType);
    this.#span.end();
  }
}

/** No message: it might be a provider's words, and with them a part of the prompt. */
function fail(span: Span, errorType: string): void {
  span.setAttribute('error.type', errorType);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function errorTypeOf(error: unknown): string {
  if (error instanceof Fault) return error.code;
  return error instanceof Error ? error.name : '_OTHER';
}

/** A client that left has ended it as it may. */
function isFailure(outcome: Outcome): boolean {
  return outcome !== 'completed' && outcome !== 'client_gone';
}

function summaryAttributes(summary: RequestSummary): Attributes {
  const { metered, charge } = summary;
  const known = {
    'tollgate.trace.id': summary.traceId,
    'tollgate.tenant.id': summary.tenantId,
    'tollgate.api_key.id': summary.apiKeyId,
    'tollgate.transaction.id': summary.transactionId,
    'tollgate.model': summary.model,
    'tollgate.provider': summary.provider,
    'tollgate.stream': summary.stream,
    'tollgate.outcome': summary.outcome,
    'tollgate.code': summary.code,
    'tollgate.charge': charge === null ? null : formatAmount(charge),
    'tollgate.usage.method': metered?.method ?? null,
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== null)) as Attributes;
}
