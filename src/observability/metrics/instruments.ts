import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '../../domain/errors.ts';
import { BoundedNames } from './bounded-names.ts';

/** Seconds. What is decided in memory takes microseconds, and in Redis part of a millisecond. */
const decisionBuckets = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5];
/** Seconds, of a durable write: its alert is at 0.1. */
const writeBuckets = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Seconds, of models: some answer at once, and some think for minutes. */
const answerBuckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
/** Rows. A statement has 500 at the most. */
const batchBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Of models and of providers, as many as anybody looks at. */
const mostNames = 100;

export type Instruments = ReturnType<typeof defineInstruments>;

/** Why a request may not be admitted. */
const quotaReasons: readonly ErrorCode[] = [
  'QUOTA_BALANCE_EXCEEDED',
  'QUOTA_DAILY_EXCEEDED',
  'QUOTA_MONTHLY_EXCEEDED',
  'API_KEY_QUOTA_EXCEEDED',
  'RATE_LIMIT_RPM_EXCEEDED',
  'RATE_LIMIT_TPM_EXCEEDED',
  'CONCURRENCY_LIMIT_EXCEEDED',
  'HOT_STATE_UNAVAILABLE',
  'LEDGER_UNAVAILABLE',
  'OVERLOADED',
  'INTERNAL',
];
/** Why a charge may not be taken: codes of what is thrown, and answers of the ledger. */
const deductReasons = [
  'LEDGER_UNAVAILABLE',
  'OVERLOADED',
  'INTERNAL',
  'already_voided',
  'unknown_transaction',
];

/** What is counted and timed, as docs/metrics.md lists it, on a registry of its own. */
export function createInstruments(): Instruments {
  const instruments = defineInstruments();
  const { quotaFailed, notDeducted, calculations, orphans } = instruments;
  // From zero on: a first one that only appears is no increase to Prometheus.
  for (const reason of quotaReasons) quotaFailed.inc({ reason }, 0);
  for (const reason of deductReasons) notDeducted.inc({ reason }, 0);
  for (const method of ['usage', 'tiktoken', 'estimated']) calculations.inc({ method }, 0);
  for (const result of ['charged', 'voided']) orphans.inc({ result }, 0);
  return instruments;
}

function defineInstruments() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = <Label extends string = never>(
    name: string,
    help: string,
    { buckets, labelNames = [] }: { readonly buckets: number[]; readonly labelNames?: Label[] },
  ) => new Histogram({ name, help, buckets, labelNames, registers });
  return {
    registry,
    models: new BoundedNames(mostNames),
    upstreamModels: new BoundedNames(mostNames),
    providers: new BoundedNames(mostNames),
    faultKinds: new BoundedNames(mostNames),
    quotaPassed: counter('quota_check_passed_total', 'Requests that were admitted'),
    quotaFailed: counter('quota_check_failed_total', 'Requests that were not admitted', ['reason']),
    quotaDuration: histogram(
      'quota_check_duration_seconds',
      'Of the decision, a load of the tenant included',
      {
        buckets: decisionBuckets,
      },
    ),
    luaDuration: histogram(
      'redis_lua_duration_seconds',
      "Of a script's round trip to Redis, for all that it is asked at once",
      {
        buckets: decisionBuckets,
        labelNames: ['script'],
      },
    ),
    deducted: counter('billing_deduct_success_total', 'Charges that the ledger has taken'),
    notDeducted: counter('billing_deduct_failure_total', 'Attempts to charge that the ledger has not taken', [
      'reason',
    ]),
    billingDuration: histogram('billing_duration_seconds', 'Of the durable write of a charge', {
      buckets: writeBuckets,
    }),
    idempotentHits: counter('billing_idempotent_hit_total', 'Repeats that changed nothing'),
    streamsOpened: counter('billing_stream_pending_created_total', 'Streams whose transaction is durable'),
    streamsCommitted: counter('billing_stream_committed_total', 'Streams that were charged'),
    streamsFailed: counter('billing_stream_failed_total', 'Streams that were closed without a charge'),
    calculations: counter('stream_token_calculation_total', 'Streams by where their tokens come from', [
      'method',
    ]),
    accuracy: new Gauge({
      name: 'stream_token_accuracy_percent',
      help: "How near our counts of late streams come to their provider's, in sum",
      labelNames: ['model'],
      aggregator: 'average',
      registers,
    }),
    compared: counter(
      'tollgate_tokens_compared_total',
      "Streams whose count was compared with the provider's",
      ['model'],
    ),
    revenue: counter('tollgate_revenue_total', 'Charged, in units of the currency', ['model']),
    cost: counter('tollgate_cost_total', 'What providers charge for it, where that is known', ['model']),
    tokens: counter('tollgate_tokens_total', 'Charged tokens', ['model', 'side']),
    orphans: counter('tollgate_orphans_settled_total', 'Transactions of dead processes that were closed', [
      'result',
    ]),
    batchSize: histogram('tollgate_ledger_batch_size', 'Rows of a statement', { buckets: batchBuckets }),
    batchWait: histogram('tollgate_ledger_batch_wait_seconds', 'Of the oldest row for its turn', {
      buckets: writeBuckets,
    }),
    batchWrite: histogram('tollgate_ledger_batch_write_seconds', 'Of the statement', {
      buckets: writeBuckets,
    }),
    batchFailed: counter(
      'tollgate_ledger_batch_failed_rows_total',
      'Rows that were refused, or found the ledger away',
    ),
    requests: counter('tollgate_requests_total', 'Requests that are over', ['outcome', 'code']),
    modelRequests: counter('tollgate_model_requests_total', 'Admitted requests that are over', ['model']),
    requestDuration: histogram('tollgate_request_duration_seconds', 'From arrival to the end', {
      buckets: answerBuckets,
      labelNames: ['stream'],
    }),
    firstByte: histogram(
      'tollgate_time_to_first_byte_seconds',
      'From arrival to the first byte of the answer',
      {
        buckets: answerBuckets,
        labelNames: ['provider'],
      },
    ),
    upstreamDuration: histogram(
      'tollgate_upstream_duration_seconds',
      'Until the head of the answer is there',
      {
        buckets: answerBuckets,
        labelNames: ['provider'],
      },
    ),
    upstreamResponses: counter('tollgate_upstream_responses_total', 'Answers of upstreams', [
      'provider',
      'status',
    ]),
    upstreamErrors: counter('tollgate_upstream_errors_total', 'Attempts without an answer', [
      'provider',
      'reason',
    ]),
    faults: counter('tollgate_faults_total', 'Faults that are in the log too', ['what']),
  };
}
