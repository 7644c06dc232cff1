import { Fault } from '../../domain/errors.ts';
import type { TenantId } from '../../domain/ids.ts';
import { type NanoUsd, nano } from '../../domain/money.ts';
import type { Period, QuotaProjection } from '../../domain/quota.ts';
import type {
  Admitted,
  AlreadyOpen,
  Cold,
  Denied,
  Extended,
  Limit,
  LoadTicket,
  NotExtended,
  QuotaState,
  Remaining,
  Settled,
} from '../hot-state.ts';

/** The caller's period isn't the one of this time in the tenant's time zone. */
export interface OtherPeriod {
  readonly kind: 'period';
  readonly timeZone: string;
  /** Redis' own time. */
  readonly nowMs: number;
}

/** Redis answered what no script answers: the scripts and this file don't fit together. */
export function unexpected(reply: unknown): Fault {
  return new Fault('INTERNAL', 'Hot state (Redis) gave an answer that is not understood.', {
    cause: new Error(JSON.stringify(reply)),
  });
}

/** The answer of `quota_check` to a caller with this period. */
export function readCheck(
  reply: unknown,
  period: Period | null,
): Admitted | Denied | Cold | AlreadyOpen | Settled | OtherPeriod {
  const [kind, first, ...rest] = readTexts(reply);
  switch (kind) {
    case 'settled':
    case 'already_open':
      return { kind };
    case 'cold':
      return { kind, ticket: present(first, reply) as LoadTicket };
    case 'period':
      return { kind, timeZone: present(first, reply), nowMs: Number(present(rest[0], reply)) };
    case 'admitted':
      return { kind, periodDay: present(first, reply), remaining: readRemaining(rest, reply) };
    case 'denied': {
      const limit = readLimit(first, reply);
      return { kind, limit, remaining: readRemaining(rest, reply), freesAtMs: freesAt(limit, period) };
    }
    default:
      throw unexpected(reply);
  }
}

/** The answer of `quota_extend`. */
export function readExtension(reply: unknown): Extended | NotExtended | Cold | Settled {
  const [kind, first] = readTexts(reply);
  switch (kind) {
    case 'settled':
      return { kind };
    case 'cold':
      return { kind, ticket: present(first, reply) as LoadTicket };
    case 'extended':
    case 'denied':
      return { kind, available: nano(BigInt(present(first, reply))) };
    default:
      throw unexpected(reply);
  }
}

/** The answer of `quota_look`. */
export function readState(reply: unknown, tenantId: TenantId): QuotaState | undefined {
  if (!Array.isArray(reply)) throw unexpected(reply);
  if (reply.length === 0) return undefined;
  const flat = readTexts(reply[0]);
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < flat.length; at += 2) fields.set(flat[at] ?? '', flat[at + 1] ?? '');
  return {
    projection: readProjection(fields, tenantId),
    held: nano(BigInt(present(fields.get('held'), reply))),
    openHolds: Number(reply[1]),
  };
}

/** The projection as the scripts take it: names and values, the version first. Null is an empty string. */
export function projectionArgs(projection: QuotaProjection): string[] {
  const fields: [name: string, value: string | number | bigint | null][] = [
    ['version', projection.version],
    ['balance', projection.balance],
    ['credit_limit', projection.creditLimit],
    ['currency', projection.currency],
    ['time_zone', projection.timeZone],
    ['daily_quota', projection.dailyQuota],
    ['daily_used', projection.dailyUsed],
    ['daily_period', projection.dailyPeriod],
    ['monthly_quota', projection.monthlyQuota],
    ['monthly_used', projection.monthlyUsed],
    ['monthly_period', projection.monthlyPeriod],
    ['rpm_limit', projection.rpmLimit],
    ['tpm_limit', projection.tpmLimit],
    ['rate_multiplier_ppm', projection.rateMultiplierPpm],
  ];
  return fields.flatMap(([name, value]) => [name, value === null ? '' : value.toString()]);
}

function readProjection(fields: ReadonlyMap<string, string>, tenantId: TenantId): QuotaProjection {
  const text = (name: string) => present(fields.get(name), name);
  const count = (name: string) => Number(text(name));
  const textOrNull = (name: string) => (text(name) === '' ? null : text(name));
  const countOrNull = (name: string) => (text(name) === '' ? null : count(name));
  const amount = (name: string): NanoUsd => nano(BigInt(text(name)));
  return {
    tenantId,
    version: count('version'),
    balance: amount('balance'),
    creditLimit: amount('credit_limit'),
    currency: text('currency'),
    timeZone: text('time_zone'),
    dailyQuota: countOrNull('daily_quota'),
    dailyUsed: count('daily_used'),
    dailyPeriod: textOrNull('daily_period'),
    monthlyQuota: countOrNull('monthly_quota'),
    monthlyUsed: count('monthly_used'),
    monthlyPeriod: textOrNull('monthly_period'),
    rpmLimit: countOrNull('rpm_limit'),
    tpmLimit: countOrNull('tpm_limit'),
    rateMultiplierPpm: BigInt(text('rate_multiplier_ppm')),
  };
}

function readRemaining([available, daily, monthly]: readonly string[], reply: unknown): Remaining {
  const left = (count: string | undefined) => (present(count, reply) === '' ? null : Number(count));
  return {
    available: nano(BigInt(present(available, reply))),
    dailyRequests: left(daily),
    monthlyRequests: left(monthly),
  };
}

function readLimit(name: string | undefined, reply: unknown): Limit {
  switch (name) {
    case 'balance':
    case 'daily_requests':
    case 'monthly_requests':
      return name;
    default:
      throw unexpected(reply);
  }
}

function freesAt(limit: Limit, period: Period | null): number | null {
  switch (limit) {
    case 'balance':
      return null;
    case 'daily_requests':
      return period?.dayEndsAtMs ?? null;
    case 'monthly_requests':
      return period?.monthEndsAtMs ?? null;
  }
}

function readTexts(reply: unknown): readonly string[] {
  if (!Array.isArray(reply) || !reply.every((part) => typeof part === 'string')) throw unexpected(reply);
  return reply;
}

function present(text: string | undefined, reply: unknown): string {
  if (text === undefined) throw unexpected(reply);
  return text;
}
