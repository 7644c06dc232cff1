import type { Route, Upstream } from '../catalog/catalog.ts';
import type { AnswerReading, Dialect, DialectRequest } from '../dialects/dialect.ts';
import type { Outcome } from '../domain/transaction.ts';
import type { MeteredUsage } from '../domain/usage.ts';
import type { RequestSummary } from './observer.ts';

/**
 * Shows in a tracing system where a request spends its time. Where tracing is off there is none, and every place that
 * would tell it something looks for it first. Nothing it does can fail a request.
 */
export interface Tracer {
  /** A request of the data plane is there; what its headers say of a trace is continued. Null: it isn't traced. */
  requestArrived(request: ArrivedRequest): RequestSpans | null;
}

export interface ArrivedRequest {
  readonly method: string;
  /** The pattern that its path matched. */
  readonly route: string;
  /** Without its query, where some clients put their secret. */
  readonly path: string;
  readonly scheme: string;
  readonly headers: TraceableHeaders;
}

export type TraceableHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** What the gateway does for a request beside asking upstream. */
export type Step = 'admission' | 'pending' | 'commit' | 'void';

/** What is shown of one request. Upstreams are asked one after the other: what is told of one is of the last that was asked. */
export interface RequestSpans {
  /** Runs a step as a part of the request, which it may outlive. */
  step<T>(name: Step, work: () => Promise<T>): Promise<T>;
  /** @returns the client's headers as they go upstream, where they name this call as what continues the trace */
  upstreamAsked(call: TracedCall, headers: TraceableHeaders): TraceableHeaders;
  upstreamAnswered(answer: UpstreamAnswered): void;
  /** The first event of a stream goes on to the client. */
  firstChunk(): void;
  /** All of upstream's answer that counts was read. */
  upstreamEnded(end: UpstreamEnd): void;
  /** Something broke that the request didn't survive. */
  failed(error: unknown): void;
  /** What is known of it at its end. */
  summarised(summary: RequestSummary): void;
  /** @param status of the answer; null where none was begun */
  ended(status: number | null): void;
}

export interface TracedCall {
  readonly dialect: Pick<Dialect, 'name'>;
  readonly request: Pick<DialectRequest, 'isFree' | 'stream' | 'choices' | 'maxOutputTokens'>;
  readonly route: Pick<Route, 'upstreamModel'>;
  readonly upstream: Pick<Upstream, 'id' | 'provider' | 'baseUrl'>;
  /** Written into the request where admission had to clamp it. */
  readonly clampedOutput: number | null;
}

export type UpstreamAnswered =
  | { readonly kind: 'response'; readonly status: number }
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface UpstreamEnd {
  readonly outcome: Outcome;
  /** What was charged for; null where nothing is. */
  readonly metered: MeteredUsage | null;
  /** Its error is the provider's words, which may repeat the prompt: it is never shown. */
  readonly reading: Pick<AnswerReading, 'finishReason' | 'responseId' | 'responseModel'> | null;
}

/** A step as a span where the request has some. */
export function inSpan<T>(spans: RequestSpans | null, name: Step, work: () => Promise<T>): Promise<T> {
  return spans === null ? work() : spans.step(name, work);
}

/** The same tracer, of which nothing that fails reaches a request. */
export function guarded(tracer: Tracer): Tracer {
  return {
    requestArrived: (request) => {
      try {
        const spans = tracer.requestArrived(request);
        return spans === null ? null : guardedSpans(spans);
      } catch {
        return null;
      }
    },
  };
}

function guardedSpans(spans: RequestSpans): RequestSpans {
  const tell = (call: () => void) => {
    try {
      call();
    } catch {
      // A trace that lacks something is worth less than a request that is served.
    }
  };
  return {
    step: async (name, work) => {
      // Begun once, whatever its span does, and what comes of it is what came of the work.
      let running: ReturnType<typeof work> | null = null;
      const once = () => {
        running ??= work();
        return running;
      };
      try {
        return await spans.step(name, once);
      } catch {
        return await once();
      }
    },
    upstreamAsked: (call, headers) => {
      try {
        return spans.upstreamAsked(call, headers);
      } catch {
        return headers;
      }
    },
    upstreamAnswered: (answer) => tell(() => spans.upstreamAnswered(answer)),
    firstChunk: () => tell(() => spans.firstChunk()),
    upstreamEnded: (end) => tell(() => spans.upstreamEnded(end)),
    failed: (error) => tell(() => spans.failed(error)),
    summarised: (summary) => tell(() => spans.summarised(summary)),
    ended: (status) => tell(() => spans.ended(status)),
  };
}
