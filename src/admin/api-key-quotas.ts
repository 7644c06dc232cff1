import { z } from 'zod';
import {
  type ApiKeyQuota,
  type QuotaType,
  quotaTypes,
  resetPeriods,
  usedOf,
} from '../domain/api-key-quota.ts';
import type { ApiKeyId, TenantId } from '../domain/ids.ts';
import { formatAmount, type NanoUsd } from '../domain/money.ts';
import { type Period, periodAt, type QuotaProjection } from '../domain/quota.ts';
import type { WantedQuota } from '../ledger/ledger.ts';
import type { AdminDependencies, Json } from './admin-call.ts';
import { project } from './posting.ts';
import { amountFromZero, members, must, oneOf } from './validation.ts';

const quotasShape = must(
  'a list of quotas such as {"quota_type": "amount", "total_quota": "25.00", "reset_period": "monthly"}; an empty one takes all away',
);

const countShape = must('a whole number, zero or more, where the quota is of requests or tokens');

const count = z
  .number(countShape)
  .refine((it) => Number.isSafeInteger(it) && it >= 0, countShape)
  .transform(BigInt);

const total: Readonly<Record<QuotaType, z.ZodType<bigint>>> = {
  requests: count,
  tokens: count,
  amount: amountFromZero,
};

const quota = members({
  quota_type: oneOf(quotaTypes),
  reset_period: oneOf(resetPeriods),
  total_quota: z.unknown().optional(),
}).transform(({ quota_type, reset_period, total_quota }, context): WantedQuota => {
  const read = total[quota_type].safeParse(total_quota);
  if (read.success) return { quotaType: quota_type, resetPeriod: reset_period, total: read.data };
  const message = read.error.issues[0]?.message ?? 'is not valid';
  context.issues.push({ code: 'custom', input: total_quota, path: ['total_quota'], message });
  return z.NEVER;
});

/** The quotas that an API key is to have, one of each type and period at most. */
export const apiKeyQuotas = z
  .array(quota, quotasShape)
  .refine((all) => new Set(all.map(nameOf)).size === all.length, {
    error: 'must have one quota of each quota_type and reset_period at most',
  });

function nameOf({ quotaType, resetPeriod }: Pick<WantedQuota, 'quotaType' | 'resetPeriod'>): string {
  return `${quotaType} ${resetPeriod}`;
}

/** For the audit log. */
export function wantedQuotaJson({ quotaType, resetPeriod, total }: WantedQuota): Json {
  return { quota_type: quotaType, reset_period: resetPeriod, total_quota: quantity(quotaType, total) };
}

/** Gives an API key these quotas; they hold on every process once this has returned. */
export async function setQuotas(
  dependencies: AdminDependencies,
  owner: { readonly tenantId: TenantId; readonly apiKeyId: ApiKeyId },
  quotas: readonly WantedQuota[],
): Promise<void> {
  const changed = await dependencies.ledger.setApiKeyQuotas(owner.tenantId, owner.apiKeyId, quotas);
  if (changed.kind === 'changed') await project(dependencies, changed.projection);
}

/** Writes what each API key of a tenant has used of its quotas, as the ledger has it now. */
export async function quotaWriter(
  { ledger, clock }: AdminDependencies,
  tenantId: TenantId,
): Promise<(apiKeyId: ApiKeyId) => readonly Json[]> {
  const snapshot = await ledger.snapshot(tenantId);
  if (snapshot.kind !== 'snapshot') return () => [];
  const { projection } = snapshot;
  const period = periodAt(clock.now(), projection.timeZone);
  return (apiKeyId) => quotasOf(projection, apiKeyId).map((one) => quotaJson(one, period));
}

function quotasOf({ apiKeyQuotas }: QuotaProjection, apiKeyId: ApiKeyId): readonly ApiKeyQuota[] {
  return apiKeyQuotas
    .filter((one) => one.apiKeyId === apiKeyId && one.total !== null)
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function quotaJson(one: ApiKeyQuota, period: Period): Json {
  const { quotaType, resetPeriod, total } = one;
  const resetsAtMs = { daily: period.dayEndsAtMs, monthly: period.monthEndsAtMs, never: null }[resetPeriod];
  return {
    quota_type: quotaType,
    reset_period: resetPeriod,
    total_quota: quantity(quotaType, total ?? 0n),
    used_quota: quantity(quotaType, usedOf(one, period.day)),
    reset_at: resetsAtMs === null ? null : new Date(resetsAtMs).toISOString(),
  };
}

/** Requests and tokens as a number, an amount as a decimal string. */
function quantity(quotaType: QuotaType, value: bigint): number | string {
  return quotaType === 'amount' ? formatAmount(value as NanoUsd) : Number(value);
}
