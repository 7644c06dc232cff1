import type { ApiKey, AuditRecord, BookPrice, ServedModel, Tenant, Upstream } from '../catalog/catalog.ts';
import { formatAmount, formatRate, nano } from '../domain/money.ts';
import { rateCardAt } from '../domain/pricing.ts';
import type { Quirks } from '../domain/quirks.ts';
import { periodAt, type QuotaProjection, usedInDay, usedInMonth } from '../domain/quota.ts';
import type { Transaction } from '../domain/transaction.ts';
import type { TenantAccount } from '../ledger/ledger.ts';
import type { Json } from './admin-call.ts';
import { ratesJson } from './rates.ts';

function optional<T>(value: T | null, write: (value: T) => Json): Json {
  return value === null ? null : write(value);
}

const isoOf = (moment: Date): string => moment.toISOString();

/** A tenant with its quota, all of which the ledger said at one moment. */
export function tenantJson(tenant: Tenant, snapshot: TenantAccount, nowMs: number): Json {
  const { projection } = snapshot;
  return {
    id: tenant.id,
    name: tenant.name,
    currency: projection.currency,
    time_zone: projection.timeZone,
    rate_multiplier_ppm: Number(projection.rateMultiplierPpm),
    quota: quotaJson(snapshot, nowMs),
    created_at: isoOf(tenant.createdAt),
  };
}

function quotaJson({ projection, openPendings, warningThresholds }: TenantAccount, nowMs: number): Json {
  const held = openPendings.reduce((sum, pending) => sum + pending.holdAmount, 0n);
  const available = projection.balance + projection.creditLimit - held;
  return {
    balance: formatAmount(projection.balance),
    held: formatAmount(nano(held)),
    available: formatAmount(nano(available)),
    credit_limit: formatAmount(projection.creditLimit),
    ...usedJson(projection, nowMs),
    rpm_limit: projection.rpmLimit,
    tpm_limit: projection.tpmLimit,
    max_open_requests: projection.maxOpenRequests,
    block_on_insufficient: projection.blockOnInsufficient,
    allow_negative: projection.allowNegative,
    stream_allow_negative: projection.streamAllowNegative,
    warning_thresholds: warningThresholds,
    version: projection.version,
  };
}

function usedJson(projection: QuotaProjection, nowMs: number) {
  const { day, month } = periodAt(nowMs, projection.timeZone);
  return {
    daily_quota: projection.dailyQuota,
    daily_used: usedInDay(projection, day),
    monthly_quota: projection.monthlyQuota,
    monthly_used: usedInMonth(projection, month),
  };
}

/** What never leaves the gateway again, the secret, isn't in it. */
export function apiKeyJson(apiKey: ApiKey, quotas: readonly Json[]) {
  return {
    id: apiKey.id,
    tenant_id: apiKey.tenantId,
    name: apiKey.name,
    prefix: apiKey.prefix,
    models: apiKey.models,
    expires_at: optional(apiKey.expiresAt, isoOf),
    rpm_limit: apiKey.rpmLimit,
    tpm_limit: apiKey.tpmLimit,
    max_open_requests: apiKey.maxOpenRequests,
    allowed_networks: apiKey.allowedNetworks,
    quotas,
    revoked_at: optional(apiKey.revokedAt, isoOf),
    created_at: isoOf(apiKey.createdAt),
  };
}

export function upstreamJson(upstream: Upstream): Json {
  return {
    id: upstream.id,
    provider: upstream.provider,
    dialects: upstream.dialects,
    base_url: upstream.baseUrl,
    has_credential: upstream.credential !== null,
    headers_timeout_ms: upstream.headersTimeoutMs,
    idle_timeout_ms: upstream.idleTimeoutMs,
    quirks: quirksJson(upstream.quirks),
    created_at: isoOf(upstream.createdAt),
  };
}

function quirksJson(quirks: Quirks): Json {
  return {
    unknown_members: quirks.unknownMembers,
    takes_stream_options: quirks.takesStreamOptions,
    max_tokens_member: quirks.maxTokensMember,
    default_completion_tokens: quirks.defaultCompletionTokens,
    reasoning_is_outside: quirks.reasoningIsOutside,
    hides_reasoning: quirks.hidesReasoning,
    cached_is_outside: quirks.cachedIsOutside,
  };
}

/** A model with the prices in force; where it has none of its own, the published ones are. */
export function modelJson(model: ServedModel, published: BookPrice | undefined, nowMs: number): Json {
  const card = rateCardAt(model.rateCards, nowMs);
  return {
    name: model.name,
    routes: model.routes.map((route) => ({
      upstream: route.upstreamId,
      upstream_model: route.upstreamModel,
      weight: route.weight,
      priority: route.priority,
      when_client_gone: route.whenClientGone,
      cost_rates: optional(route.costRates, ratesJson),
    })),
    rates: card === undefined ? null : ratesJson(card),
    rates_effective_from: card === undefined ? null : new Date(card.effectiveFromMs).toISOString(),
    published_rates:
      published === undefined ? null : { source: published.source, rates: ratesJson(published.prices) },
    scheduled_rates: model.rateCards
      .filter(({ effectiveFromMs }) => effectiveFromMs > nowMs)
      .map(({ effectiveFromMs, ...prices }) => ({
        effective_from: new Date(effectiveFromMs).toISOString(),
        rates: ratesJson(prices),
      })),
    max_input_tokens: model.maxInputTokens,
    max_output_tokens: model.maxOutputTokens,
    created_at: isoOf(model.createdAt),
  };
}

/** The columns of the ledger's row; those that its status has no value for are null. */
export function transactionJson(transaction: Transaction): { readonly [column: string]: Json } {
  const committed = transaction.status === 'COMMITTED' ? transaction : null;
  return {
    id: transaction.id,
    tenant_id: transaction.tenantId,
    api_key_id: transaction.apiKeyId,
    trace_id: transaction.traceId,
    type: transaction.type,
    status: transaction.status,
    amount: optional(committed, ({ amount }) => formatAmount(amount)),
    currency: transaction.currency,
    hold_amount: optional(transaction.holdAmount, formatAmount),
    input_tokens: committed?.inputTokens ?? null,
    output_tokens: committed?.outputTokens ?? null,
    usage: committed?.usage ? usageJson(committed.usage) : null,
    usage_method: committed?.usageMethod ?? null,
    input_price: optional(transaction.inputPrice, formatRate),
    output_price: optional(transaction.outputPrice, formatRate),
    rates: optional(transaction.rates, ratesJson),
    multiplier_ppm: optional(transaction.multiplierPpm, Number),
    cost_amount: optional(committed?.costAmount ?? null, formatAmount),
    seq: committed?.seq ?? null,
    balance_before: optional(committed, ({ balanceBefore }) => formatAmount(balanceBefore)),
    balance_after: optional(committed, ({ balanceAfter }) => formatAmount(balanceAfter)),
    provider: transaction.provider,
    model: transaction.model,
    request_hash: transaction.requestHash,
    period_day: transaction.periodDay,
    expires_at: optional(transaction.expiresAt, isoOf),
    owner: transaction.owner,
    checkpoint: null,
    reversed_by: committed?.reversedBy ?? null,
    description: transaction.description,
    created_at: isoOf(transaction.createdAt),
    updated_at: isoOf(transaction.updatedAt),
  };
}

function usageJson(usage: Readonly<Record<string, number | undefined>>): Json {
  return Object.fromEntries(
    Object.entries(usage).flatMap(([usageClass, count]) =>
      count === undefined ? [] : [[usageClass, count]],
    ),
  );
}

export function auditJson(record: AuditRecord): Json {
  return {
    id: record.id,
    at: isoOf(record.at),
    actor: record.actor,
    action: record.action,
    subject: record.subject,
    detail: record.detail as Json,
  };
}
