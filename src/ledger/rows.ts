import type { ApiKeyQuota, QuotaType, ResetPeriod } from '../domain/api-key-quota.ts';
import type { ApiKeyId, InstanceId, RequestHash, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import {
  formatAmount,
  formatRate,
  type NanoUsd,
  nano,
  parseAmount,
  parseRate,
  type Rate,
} from '../domain/money.ts';
import { decodePriceList, type PriceListJson } from '../domain/price-list-json.ts';
import type { QuotaProjection } from '../domain/quota.ts';
import { decodeReceipt, type ReceiptJson } from '../domain/receipt.ts';
import type { Transaction, TransactionType } from '../domain/transaction.ts';
import type { Usage, UsageMethod } from '../domain/usage.ts';

/** A row of `billing_transaction` as a driver returns it: int8 and numeric as strings, dates as ISO strings. */
export interface TransactionRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly api_key_id: string | null;
  readonly trace_id: string;
  readonly type: string;
  readonly status: string;
  readonly amount: string | null;
  readonly currency: string;
  readonly hold_amount: string | null;
  readonly input_tokens: string | null;
  readonly output_tokens: string | null;
  readonly usage: Record<string, number> | null;
  readonly usage_method: string | null;
  readonly input_price: string | null;
  readonly output_price: string | null;
  readonly rates: PriceListJson | null;
  readonly multiplier_ppm: string | null;
  readonly cost_amount: string | null;
  readonly receipt: ReceiptJson | null;
  readonly seq: string | null;
  readonly balance_before: string | null;
  readonly balance_after: string | null;
  readonly provider: string | null;
  readonly model: string | null;
  readonly request_hash: string;
  readonly period_day: string | null;
  readonly expires_at: Date | null;
  readonly owner: string | null;
  readonly reversed_by: string | null;
  readonly description: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** The columns `quota_…` of a statement's result. */
export interface QuotaRow {
  readonly tenant_id: string;
  readonly quota_version: string;
  readonly quota_balance: string;
  readonly quota_credit_limit: string;
  readonly quota_currency: string;
  readonly quota_time_zone: string;
  readonly quota_daily_quota: string | null;
  readonly quota_daily_used: string;
  readonly quota_daily_period: string | null;
  readonly quota_monthly_quota: string | null;
  readonly quota_monthly_used: string;
  readonly quota_monthly_period: string | null;
  readonly quota_rpm_limit: string | null;
  readonly quota_tpm_limit: string | null;
  readonly quota_rate_multiplier_ppm: string;
  readonly quota_max_open_requests: string | null;
  readonly quota_block_on_insufficient: boolean | null;
  readonly quota_allow_negative: boolean | null;
  readonly quota_stream_allow_negative: boolean | null;
}

/** An element of the JSON column `api_key_quotas` of a statement's result. */
export interface ApiKeyQuotaJson {
  readonly api_key_id: string;
  readonly quota_type: QuotaType;
  readonly reset_period: ResetPeriod;
  /** Null where it was taken away. */
  readonly total_quota: string | null;
  readonly used_quota: string;
  readonly period: string | null;
}

function present<T>(value: T | null, column: string): T {
  if (value === null) throw new Error(`the ledger's row has no ${column}, which its status promises`);
  return value;
}

function optional<T, R>(value: T | null, read: (value: T) => R): R | null {
  return value === null ? null : read(value);
}

const parsePrice = (text: string): Rate => parseRate(text, 1_000_000);

export function decodeTransaction(row: TransactionRow): Transaction {
  const facts = {
    id: row.id as TransactionId,
    tenantId: row.tenant_id as TenantId,
    apiKeyId: row.api_key_id as ApiKeyId | null,
    traceId: row.trace_id as TraceId,
    type: row.type as TransactionType,
    currency: row.currency,
    requestHash: row.request_hash as RequestHash,
    holdAmount: optional(row.hold_amount, parseAmount),
    provider: row.provider,
    model: row.model,
    rates: optional(row.rates, decodePriceList),
    multiplierPpm: optional(row.multiplier_ppm, BigInt),
    inputPrice: optional(row.input_price, parsePrice),
    outputPrice: optional(row.output_price, parsePrice),
    periodDay: row.period_day,
    owner: row.owner as InstanceId | null,
    expiresAt: row.expires_at,
    description: row.description,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
  switch (row.status) {
    case 'PENDING':
      return {
        ...facts,
        status: 'PENDING',
        owner: present(row.owner, 'owner') as InstanceId,
        expiresAt: present(row.expires_at, 'expires_at'),
      };
    case 'COMMITTED':
      return {
        ...facts,
        status: 'COMMITTED',
        amount: parseAmount(present(row.amount, 'amount')),
        usage: row.usage as Usage | null,
        usageMethod: row.usage_method as UsageMethod | null,
        inputTokens: optional(row.input_tokens, Number),
        outputTokens: optional(row.output_tokens, Number),
        costAmount: optional(row.cost_amount, parseAmount),
        receipt: optional(row.receipt, decodeReceipt),
        seq: Number(present(row.seq, 'seq')),
        balanceBefore: parseAmount(present(row.balance_before, 'balance_before')),
        balanceAfter: parseAmount(present(row.balance_after, 'balance_after')),
        reversedBy: row.reversed_by as TransactionId | null,
      };
    case 'VOIDED':
      return { ...facts, status: 'VOIDED' };
    default:
      throw new Error(
        `the ledger has a transaction of status ${row.status}, which this version doesn't know`,
      );
  }
}

/** Amounts are kept in currency units, with nine digits behind the point; of requests and tokens those are zeros. */
const unitsOfCount = 1_000_000_000n;

/** A row that a batch wrote: of a tenant's the last one says what became of the tenant's, and the others nothing. */
export type BatchRow = {
  readonly tenant_id: string;
  readonly api_key_quotas: readonly ApiKeyQuotaJson[] | null;
} & (QuotaRow | Readonly<Record<Exclude<keyof QuotaRow, 'tenant_id'>, null>>);

function hasQuota(row: BatchRow): row is BatchRow & QuotaRow {
  return row.quota_version !== null;
}

/** What became of the tenants' rows by a batch, with the quotas of the API key that a row of it counted in. */
export function projectionsOf(rows: readonly BatchRow[]): (row: BatchRow) => QuotaProjection {
  const ofTenants = new Map(rows.filter(hasQuota).map((row) => [row.tenant_id, decodeProjection(row, null)]));
  return ({ tenant_id, api_key_quotas }) => {
    const projection = ofTenants.get(tenant_id);
    if (projection === undefined)
      throw new Error(`no row of a batch says what became of tenant ${tenant_id}`);
    if (api_key_quotas === null) return projection;
    return { ...projection, apiKeyQuotas: api_key_quotas.map(decodeApiKeyQuota) };
  };
}

function decodeApiKeyQuota(json: ApiKeyQuotaJson): ApiKeyQuota {
  const { api_key_id, quota_type, reset_period, total_quota, used_quota, period } = json;
  // More than an amount of one transaction may be: what a life adds up to.
  const count = (text: string): bigint => {
    const nanoUnits = BigInt(text.replace('.', ''));
    return quota_type === 'amount' ? nanoUnits : nanoUnits / unitsOfCount;
  };
  return {
    apiKeyId: api_key_id as ApiKeyId,
    quotaType: quota_type,
    resetPeriod: reset_period,
    total: optional(total_quota, count),
    used: count(used_quota),
    period,
  };
}

/** A count or an amount of a quota as the column takes it. */
export function quotaParameter(quotaType: QuotaType, count: bigint): string {
  return quotaType === 'amount' ? formatAmount(nano(count)) : count.toString();
}

export function decodeProjection(
  row: QuotaRow,
  apiKeyQuotas: readonly ApiKeyQuotaJson[] | null,
): QuotaProjection {
  return {
    tenantId: row.tenant_id as TenantId,
    version: Number(row.quota_version),
    balance: parseAmount(row.quota_balance),
    creditLimit: parseAmount(row.quota_credit_limit),
    currency: row.quota_currency,
    timeZone: row.quota_time_zone,
    dailyQuota: optional(row.quota_daily_quota, Number),
    dailyUsed: Number(row.quota_daily_used),
    dailyPeriod: row.quota_daily_period,
    monthlyQuota: optional(row.quota_monthly_quota, Number),
    monthlyUsed: Number(row.quota_monthly_used),
    // The column is the month's first day.
    monthlyPeriod: optional(row.quota_monthly_period, (day) => day.slice(0, 7)),
    rpmLimit: optional(row.quota_rpm_limit, Number),
    tpmLimit: optional(row.quota_tpm_limit, Number),
    rateMultiplierPpm: BigInt(row.quota_rate_multiplier_ppm),
    maxOpenRequests: optional(row.quota_max_open_requests, Number),
    blockOnInsufficient: row.quota_block_on_insufficient,
    allowNegative: row.quota_allow_negative,
    streamAllowNegative: row.quota_stream_allow_negative,
    apiKeyQuotas: (apiKeyQuotas ?? []).map(decodeApiKeyQuota),
  };
}

export function amountParameter(amount: NanoUsd | null): string | null {
  return amount === null ? null : formatAmount(amount);
}

export function priceParameter(price: Rate | null): string | null {
  return price === null ? null : formatRate(price);
}
