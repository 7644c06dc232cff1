import { ExportResultCode, setGlobalErrorHandler } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { type Clock, type Timers, within } from '../../domain/clock.ts';
import type { Tracer } from '../tracer.ts';
import { createOtelTracer } from './otel-tracer.ts';

export interface TracingOptions {
  readonly sampler: {
    /** Of requests that begin a trace: 0 none, 1 all. */
    readonly ratio: number;
    /** Whether a trace that a client has begun is shown as the client says. */
    readonly followsClient: boolean;
  };
  readonly batch: {
    readonly maxQueueSize: number;
    readonly maxExportBatchSize: number;
    readonly scheduledDelayMillis: number;
    readonly exportTimeoutMillis: number;
  };
  readonly clock: Clock & Timers;
  readonly onFault: (what: string, error: unknown) => void;
}

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends what waits, as far as that takes no longer than a moment. Never rejects. */
  close(): Promise<void>;
}

/** A collector that is away doesn't hold up the end of a process for longer. */
const flushWithinMs = 2_000;

/** Names of models and the like; nothing that is shown is longer. */
const longestAttribute = 512;

/**
 * Spans in batches to an OTLP collector, by HTTP. Its address, its headers and the service's name are read from the
 * environment by OpenTelemetry's own packages. What the collector doesn't take in time is dropped, and no request
 * waits for it.
 */
export function openTracing({ sampler, batch, clock, onFault }: TracingOptions): Tracing {
  // Failures are told by the exporter below, once; by default each would be written to the console.
  setGlobalErrorHandler(() => undefined);
  const exporter = tellingFailures(new OTLPTraceExporter(), onFault);
  const provider = new TracerProvider({
    resource: resourceOf(),
    sampler: samplerOf(sampler),
    spanLimits: { attributeValueLengthLimit: longestAttribute },
    spanProcessors: [new BatchSpanProcessor({ exporter, ...batch })],
  });
  return {
    tracer: createOtelTracer(provider.getTracer('tollgate'), clock),
    close: async () => {
      await within(
        clock,
        provider.shutdown().catch(() => undefined),
        flushWithinMs,
      );
    },
  };
}

/** OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say more than we do; each worker is an instance. */
function resourceOf(): Resource {
  const detectors = [serviceInstanceIdDetector, resourceAttributesEnvDetector, serviceNameEnvDetector];
  return defaultResource()
    .merge(resourceFromAttributes({ 'service.name': 'tollgate' }))
    .merge(detectResources({ detectors }));
}

function samplerOf({ ratio, followsClient }: TracingOptions['sampler']): Sampler {
  const root = new TraceIdRatioBasedSampler(ratio);
  return followsClient ? new ParentBasedSampler({ root }) : root;
}

/** A collector that is away is told once, until it takes spans again. What it said is not repeated. */
function tellingFailures(exporter: SpanExporter, onFault: TracingOptions['onFault']): SpanExporter {
  let isFailing = false;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const fails = result.code !== ExportResultCode.SUCCESS;
        if (fails && !isFailing) onFault('exporting traces', new Error(result.error?.message ?? 'failed'));
        isFailing = fails;
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  };
}
