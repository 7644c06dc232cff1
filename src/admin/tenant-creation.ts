import { hash } from 'node:crypto';
import { z } from 'zod';
import type { NewTenant, Tenant } from '../catalog/catalog.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import { hashRequest, type TenantId, type TraceId } from '../domain/ids.ts';
import { formatAmount, zeroNano } from '../domain/money.ts';
import { unitMultiplierPpm } from '../domain/pricing.ts';
import type { AdminDependencies } from './admin-call.ts';
import { isRefusal } from './refusals.ts';
import { credit } from './top-ups.ts';
import { amountFromZero, currency, id, integer, limit, members, must, text, timeZone } from './validation.ts';

const yesNo = z.boolean(must('true, false, or null for the default')).nullable();

const thresholdsShape = must(
  'a list of at most 10 whole percents from 0 to 100, each once, [] for no warnings, or null for the default 20, 5 and 0',
);

const thresholds = z
  .array(integer(0, 100), thresholdsShape)
  .max(10, thresholdsShape)
  .refine((percents) => new Set(percents).size === percents.length, thresholdsShape)
  .nullable();

/** The members that limit a tenant, or change what it pays. */
export const limits = {
  credit_limit: amountFromZero.optional(),
  daily_quota: limit.optional(),
  monthly_quota: limit.optional(),
  rpm_limit: limit.optional(),
  tpm_limit: limit.optional(),
  rate_multiplier_ppm: integer(0, 1_000_000_000).optional(),
  max_open_requests: limit.optional(),
  block_on_insufficient: yesNo.optional(),
  allow_negative: yesNo.optional(),
  stream_allow_negative: yesNo.optional(),
  warning_thresholds: thresholds.optional(),
};

export const newTenant = members({
  id: id.optional(),
  name: text(200),
  balance: amountFromZero.default(zeroNano),
  currency: currency.default('USD'),
  time_zone: timeZone.default('UTC'),
  ...limits,
});

type NewTenantBody = z.output<typeof newTenant>;

/** The members that were sent, with amounts as they are on the wire. */
export function writeAmounts(body: Partial<NewTenantBody>): Readonly<Record<string, unknown>> {
  const { balance, credit_limit, ...rest } = body;
  return {
    ...rest,
    ...(balance === undefined ? {} : { balance: formatAmount(balance) }),
    ...(credit_limit === undefined ? {} : { credit_limit: formatAmount(credit_limit) }),
  };
}

export interface TenantCreation {
  readonly body: NewTenantBody;
  readonly idempotencyKey: string | null;
  readonly actor: string;
}

/** What a repeat has to know of the first request. */
const creationFacts = z.object({ request_hash: z.string(), opening_trace_id: z.string() });
type CreationFacts = z.output<typeof creationFacts>;

const action = 'tenant.create';

/**
 * Creates the tenant at zero, then credits its opening balance. What was asked for is kept in the audit
 * entry, durable together with the tenant: a repeat completes what the first request left undone when
 * it died between the two steps, under the first one's trace id, so that the balance is credited once.
 */
export async function createTenant(
  dependencies: AdminDependencies,
  { body, idempotencyKey, actor }: TenantCreation,
): Promise<Tenant | Refusal> {
  const { id: sentId, ...values } = body;
  const tenantId = (sentId ?? idOf(idempotencyKey) ?? dependencies.newId()) as TenantId;
  const detail = writeAmounts(values);
  const facts: CreationFacts = {
    request_hash: hashRequest(JSON.stringify(Object.entries(detail).sort())),
    opening_trace_id: idempotencyKey ?? 'opening-balance',
  };
  const answer = await dependencies.catalog.createTenant(draftOf(tenantId, values), {
    actor,
    action,
    subject: tenantId,
    detail: { ...detail, ...facts },
  });
  if (!('kind' in answer)) return await creditOpening(dependencies, answer, { body, actor, facts });
  if (answer.kind === 'unknown_time_zone') return unknownTimeZone(body.time_zone);

  const tenant = await dependencies.catalog.findTenant(tenantId);
  const first = await firstCreation(dependencies, tenantId);
  if (tenant === undefined || first?.request_hash !== facts.request_hash) {
    return sentId === undefined ? keyTaken(tenantId) : idTaken(tenantId);
  }
  return await creditOpening(dependencies, tenant, { body, actor, facts: first });
}

interface Opening {
  readonly body: NewTenantBody;
  readonly actor: string;
  readonly facts: CreationFacts;
}

async function creditOpening(
  dependencies: AdminDependencies,
  tenant: Tenant,
  { body, actor, facts }: Opening,
): Promise<Tenant | Refusal> {
  if (body.balance === 0n) return tenant;
  const opening = await credit(dependencies, {
    tenantId: tenant.id,
    traceId: facts.opening_trace_id as TraceId,
    type: 'TOPUP',
    amount: body.balance,
    description: 'Opening balance',
    actor,
  });
  return isRefusal(opening) ? opening : tenant;
}

async function firstCreation(
  { catalog }: AdminDependencies,
  tenantId: TenantId,
): Promise<CreationFacts | undefined> {
  const [entry] = await catalog.listAudit({ action, subject: tenantId, limit: 1 });
  return creationFacts.safeParse(entry?.detail).data;
}

/** Without an id of its own, the tenant of an Idempotency-Key is the same each time. */
function idOf(idempotencyKey: string | null): string | undefined {
  return idempotencyKey === null ? undefined : `t-${hash('sha256', idempotencyKey).slice(0, 32)}`;
}

function draftOf(tenantId: TenantId, values: Omit<NewTenantBody, 'id'>): NewTenant {
  return {
    id: tenantId,
    name: values.name,
    currency: values.currency,
    timeZone: values.time_zone,
    creditLimit: values.credit_limit ?? zeroNano,
    dailyQuota: values.daily_quota ?? null,
    monthlyQuota: values.monthly_quota ?? null,
    rpmLimit: values.rpm_limit ?? null,
    tpmLimit: values.tpm_limit ?? null,
    rateMultiplierPpm:
      values.rate_multiplier_ppm === undefined ? unitMultiplierPpm : BigInt(values.rate_multiplier_ppm),
    maxOpenRequests: values.max_open_requests ?? null,
    blockOnInsufficient: values.block_on_insufficient ?? null,
    allowNegative: values.allow_negative ?? null,
    streamAllowNegative: values.stream_allow_negative ?? null,
    warningThresholds: values.warning_thresholds ?? null,
  };
}

function idTaken(tenantId: TenantId): Refusal {
  return refusal(
    'ALREADY_EXISTS',
    `Tenant "${tenantId}" exists and was created with other values. Nothing was changed; PATCH it, or choose another id.`,
    { param: 'id' },
  );
}

function keyTaken(tenantId: TenantId): Refusal {
  return refusal(
    'IDEMPOTENCY_CONFLICT',
    `The Idempotency-Key was used to create tenant "${tenantId}" with other values. Nothing was changed; send this request with a key of its own.`,
    { param: 'Idempotency-Key' },
  );
}

function unknownTimeZone(name: string): Refusal {
  return refusal('REQUEST_INVALID', `\`time_zone\` "${name}" is not known to the ledger's engine.`, {
    param: 'time_zone',
  });
}
