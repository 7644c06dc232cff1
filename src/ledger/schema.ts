import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { PriceListJson } from '../domain/price-list-json.ts';
import type { QuirkOverrides } from '../domain/quirks.ts';
import type { ReceiptJson } from '../domain/receipt.ts';

/** int8: read as a string, since it may exceed 2^53; written as a number, bigint or string. */
type GeneratedInt8 = ColumnType<string, number | bigint | string | undefined, number | bigint | string>;
type NullableInt8 = ColumnType<
  string | null,
  number | bigint | string | null,
  number | bigint | string | null
>;
type Timestamp = ColumnType<Date, Date | undefined, Date>;

/** The tables as Kysely sees them; the truth is in `migrations/`. Money columns are decimal strings. */
export interface Schema {
  tenant: {
    tenant_id: string;
    name: string;
    created_at: Timestamp;
  };
  tenant_quota: {
    tenant_id: string;
    balance: Generated<string>;
    credit_limit: Generated<string>;
    currency: string;
    time_zone: string;
    daily_quota: NullableInt8;
    daily_used: GeneratedInt8;
    daily_period: string | null;
    daily_reset_at: Date | null;
    monthly_quota: NullableInt8;
    monthly_used: GeneratedInt8;
    monthly_period: string | null;
    monthly_reset_at: Date | null;
    rpm_limit: NullableInt8;
    tpm_limit: NullableInt8;
    max_open_requests: NullableInt8;
    block_on_insufficient: Generated<boolean | null>;
    allow_negative: Generated<boolean | null>;
    stream_allow_negative: Generated<boolean | null>;
    /** Percents; null is the default. */
    warning_thresholds: Generated<number[] | null>;
    /** Null until the next transaction of a tenant that was there before there were warnings. */
    warning_base: Generated<string | null>;
    rate_multiplier_ppm: GeneratedInt8;
    last_seq: GeneratedInt8;
    version: GeneratedInt8;
    created_at: Timestamp;
    updated_at: Timestamp;
  };
  billing_transaction: {
    tenant_id: string;
    id: string;
    api_key_id: string | null;
    trace_id: string;
    type: string;
    status: string;
    amount: string | null;
    currency: string;
    hold_amount: string | null;
    hold_tokens: NullableInt8;
    input_tokens: NullableInt8;
    output_tokens: NullableInt8;
    usage: Record<string, number> | null;
    usage_method: string | null;
    input_price: string | null;
    output_price: string | null;
    rates: PriceListJson | null;
    multiplier_ppm: NullableInt8;
    cost_amount: string | null;
    seq: NullableInt8;
    balance_before: string | null;
    balance_after: string | null;
    provider: string | null;
    model: string | null;
    request_hash: string;
    period_day: string | null;
    expires_at: Date | null;
    owner: string | null;
    checkpoint: unknown;
    receipt: ReceiptJson | null;
    reversed_by: string | null;
    description: string | null;
    created_at: Timestamp;
    updated_at: Timestamp;
  };
  usage_record: {
    tenant_id: string;
    transaction_id: string;
    outcome: string;
    stream: boolean;
    stream_completed: boolean | null;
    stream_error: string | null;
    finish_reason: string | null;
    latency_ms: number;
    time_to_first_byte_ms: number | null;
    created_at: Timestamp;
  };
  api_key: {
    tenant_id: string;
    id: string;
    name: string;
    secret_hash: string;
    prefix: string;
    scopes: Generated<string[]>;
    models: string[] | null;
    expires_at: Date | null;
    rpm_limit: NullableInt8;
    tpm_limit: NullableInt8;
    max_open_requests: NullableInt8;
    allowed_networks: string[] | null;
    revoked_at: Date | null;
    created_at: Timestamp;
  };
  api_key_quota: {
    tenant_id: string;
    api_key_id: string;
    quota_type: string;
    reset_period: string;
    total_quota: string;
    used_quota: Generated<string>;
    period: string | null;
    reset_at: Date | null;
    created_at: Timestamp;
    updated_at: Timestamp;
  };
  upstream: {
    id: string;
    provider: string;
    dialects: string[];
    base_url: string;
    credential: string | null;
    headers_timeout_ms: number;
    idle_timeout_ms: number;
    quirks: JSONColumnType<QuirkOverrides>;
    created_at: Timestamp;
    updated_at: Timestamp;
  };
  model: {
    name: string;
    max_input_tokens: NullableInt8;
    max_output_tokens: NullableInt8;
    created_at: Timestamp;
    updated_at: Timestamp;
  };
  route: {
    model: string;
    position: number;
    upstream: string;
    upstream_model: string;
    weight: Generated<number>;
    priority: Generated<number>;
    when_client_gone: Generated<string>;
    cost_rates: ColumnType<PriceListJson | null, string | null, string | null>;
  };
  rate_card: {
    model: string;
    effective_from: Date;
    /** Nano per 1,000,000 units, an integer as a string, by usage class. */
    rates: JSONColumnType<PriceListJson>;
    created_at: Timestamp;
  };
  book_price: {
    provider: string;
    model: string;
    prices: JSONColumnType<PriceListJson>;
    max_input_tokens: NullableInt8;
    max_output_tokens: NullableInt8;
    source: string;
    updated_at: Timestamp;
  };
  token_factor: {
    model: string;
    side: string;
    factor_ppm: GeneratedInt8;
    samples: GeneratedInt8;
    updated_at: Timestamp;
  };
  admin_token: {
    secret_hash: string;
    name: string;
    created_at: Timestamp;
  };
  audit_log: {
    id: GeneratedInt8;
    at: Timestamp;
    actor: string;
    action: string;
    subject: string;
    detail: JSONColumnType<Record<string, unknown>>;
  };
  outbox: {
    position: ColumnType<string, never, never>;
    id: Generated<string>;
    tenant_id: string;
    type: string;
    data: JSONColumnType<Record<string, string | number | null>>;
    created_at: Timestamp;
    dispatched_at: Date | null;
  };
  webhook: {
    id: string;
    /** Null: events of all tenants. */
    tenant_id: string | null;
    url: string;
    secret: string;
    /** Types of events; null: all of them. */
    events: string[] | null;
    created_at: Timestamp;
    disabled_at: Date | null;
  };
  webhook_delivery: {
    webhook_id: string;
    event: string;
    attempts: Generated<number>;
    next_attempt_at: Timestamp;
    delivered_at: Date | null;
    failed_at: Date | null;
    last_error: string | null;
  };
  job_run: {
    name: string;
    started_at: Date;
  };
  gateway_instance: {
    id: string;
    host: string;
    pid: number;
    started_at: Timestamp;
    heartbeat_at: Timestamp;
    place: string | null;
    beat: string;
    ended_at: Timestamp | null;
    settled_at: Timestamp | null;
  };
}
