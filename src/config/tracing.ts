import { z } from 'zod';

/**
 * Where spans go and with which headers is the exporter's to read, by the variables that OpenTelemetry gives it: its
 * headers are secrets, which stay in the environment.
 */
export interface TracingConfig {
  readonly sampler: SamplerConfig;
  readonly batch: BatchConfig;
}

export interface SamplerConfig {
  /** Of requests that begin a trace: 0 none, 1 all. */
  readonly ratio: number;
  /** Whether a trace that a client has begun is shown as the client says. */
  readonly followsClient: boolean;
}

/** What waits for the collector, and for how long. */
export interface BatchConfig {
  /** Spans; beyond that they are dropped. */
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number;
  readonly scheduledDelayMillis: number;
  readonly exportTimeoutMillis: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const wholeNumber = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** Other protocols need other exporters; a collector that takes protobuf takes JSON at the same address. */
const protocol = z.enum(['http/json', 'http/protobuf']).optional();

const endpoint = z
  .url({ protocol: /^https?$/, error: 'has to be a URL such as http://localhost:4318' })
  .optional();

const tracingSchema = z.object({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol,
  OTEL_TRACES_SAMPLER: z.enum(samplers).default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  OTEL_BSP_MAX_QUEUE_SIZE: wholeNumber(1, 100_000).default(2_048),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: wholeNumber(1, 10_000).default(512),
  OTEL_BSP_SCHEDULE_DELAY: wholeNumber(10, 300_000).default(5_000),
  OTEL_BSP_EXPORT_TIMEOUT: wholeNumber(10, 600_000).default(30_000),
});

function isOn(environment: Environment): boolean {
  const whereTo =
    environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? environment.OTEL_EXPORTER_OTLP_ENDPOINT ?? '';
  const isDisabled = environment.OTEL_SDK_DISABLED?.toLowerCase() === 'true';
  return whereTo !== '' && !isDisabled && environment.OTEL_TRACES_EXPORTER !== 'none';
}

/** Null where tracing is off: the variables then belong to others. */
function parse(environment: Environment) {
  return isOn(environment) ? tracingSchema.safeParse(withTracesProtocol(environment)) : null;
}

/** The protocol for traces is the one that counts where both are set. */
function withTracesProtocol(environment: Environment): Environment {
  const { OTEL_EXPORTER_OTLP_PROTOCOL: _, ...rest } = environment;
  return environment.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL === undefined ? environment : rest;
}

/** What is wrong, a line each. */
export function tracingProblems(environment: Environment): string[] {
  return parse(environment)?.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];
}

export function tracingOf(environment: Environment): TracingConfig | null {
  const data = parse(environment)?.data;
  if (data === undefined) return null;
  const sampler = data.OTEL_TRACES_SAMPLER;
  const byRatio = sampler.endsWith('traceidratio') ? data.OTEL_TRACES_SAMPLER_ARG : 1;
  return {
    sampler: {
      ratio: sampler.endsWith('always_off') ? 0 : byRatio,
      followsClient: sampler.startsWith('parentbased_'),
    },
    batch: {
      maxQueueSize: data.OTEL_BSP_MAX_QUEUE_SIZE,
      maxExportBatchSize: Math.min(data.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, data.OTEL_BSP_MAX_QUEUE_SIZE),
      scheduledDelayMillis: data.OTEL_BSP_SCHEDULE_DELAY,
      exportTimeoutMillis: data.OTEL_BSP_EXPORT_TIMEOUT,
    },
  };
}
