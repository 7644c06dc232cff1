import {
  type ApiKeyQuota,
  type QuotaType,
  quotaTypes,
  type ResetPeriod,
  resetPeriods,
} from '../../domain/api-key-quota.ts';
import { Fault } from '../../domain/errors.ts';
import type { ApiKeyId, TenantId } from '../../domain/ids.ts';
import { type NanoUsd, nano } from '../../domain/money.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
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
  RemainingOfApiKey,
  RemainingRate,
  Settled,
} from '../hot-state.ts';
import { limits } from '../hot-state.ts';
import type { ScriptArgs } from './script-sender.ts';

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

/** The answers of a script that is asked for so many things at once. */
export function readEach(reply: unknown, count: number): readonly unknown[] {
  if (!Array.isArray(reply) || reply.length !== count) throw unexpected(reply);
  return reply;
}

export type CheckAnswer = Admitted | Denied | Cold | AlreadyOpen | Settled | OtherPeriod;

/** Of the answers of `quota_check`. */
export function readCheck(reply: unknown): CheckAnswer {
  const texts = readTexts(reply);
  const [kind, first, second] = texts;
  switch (kind) {
    case 'settled':
    case 'already_open':
      return { kind };
    case 'cold':
      return { kind, ticket: present(first, reply) as LoadTicket };
    case 'period':
      return { kind, timeZone: present(first, reply), nowMs: Number(present(second, reply)) };
    case 'admitted': {
      const exceeded = second === '' ? null : readLimit(second, reply);
      return { kind, periodDay: present(first, reply), remaining: readRemaining(texts, reply), exceeded };
    }
    case 'denied': {
      const freesInMs = countOrNull(second, reply);
      return { kind, limit: readLimit(first, reply), remaining: readRemaining(texts, reply), freesInMs };
    }
    default:
      throw unexpected(reply);
  }
}

/** The answer of `quota_extend`. */
export function readExtension(reply: unknown): Extended | NotExtended | Cold | Settled {
  const [kind, first, second] = readTexts(reply);
  switch (kind) {
    case 'settled':
      return { kind };
    case 'cold':
      return { kind, ticket: present(first, reply) as LoadTicket };
    case 'extended':
      return { kind, available: nano(BigInt(present(first, reply))) };
    case 'denied': {
      const limit = first === 'api_key_amount' ? first : 'balance';
      return { kind, limit, available: nano(BigInt(present(second, reply))) };
    }
    default:
      throw unexpected(reply);
  }
}

/** A hash as Redis tells it: names and values by turns. */
export function readFields(reply: unknown): ReadonlyMap<string, string> {
  const flat = readTexts(reply);
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < flat.length; at += 2) fields.set(flat[at] ?? '', flat[at + 1] ?? '');
  return fields;
}

/** The answer of `quota_look`. */
export function readState(reply: unknown, tenantId: TenantId): QuotaState | undefined {
  if (!Array.isArray(reply)) throw unexpected(reply);
  if (reply.length === 0) return undefined;
  const fields = readFields(reply[0]);
  return {
    projection: readProjection(fields, tenantId),
    held: nano(BigInt(present(fields.get('held'), reply))),
    openHolds: Number(reply[1]),
  };
}

/**
 * The projection as the scripts take it, behind what comes first: quotas of API keys, then the values in the order of
 * lua/fragments/tenant.lua. Null is an empty string.
 */
export function projectionArgs(projection: QuotaProjection, first: ScriptArgs): ScriptArgs {
  const args = [...first, quotasArg(projection.apiKeyQuotas)];
  const add = (value: string | number | bigint | boolean | null) =>
    args.push(value === null ? '' : String(value));
  add(projection.version);
  add(projection.balance);
  add(projection.creditLimit);
  add(projection.currency);
  add(projection.timeZone);
  add(projection.dailyQuota);
  add(projection.dailyUsed);
  add(projection.dailyPeriod);
  add(projection.monthlyQuota);
  add(projection.monthlyUsed);
  add(projection.monthlyPeriod);
  add(projection.rpmLimit);
  add(projection.tpmLimit);
  add(projection.rateMultiplierPpm);
  add(projection.maxOpenRequests);
  add(projection.blockOnInsufficient);
  add(projection.allowNegative);
  add(projection.streamAllowNegative);
  return args;
}

const typeCodes = { requests: 'r', tokens: 't', amount: 'a' } as const satisfies Record<QuotaType, string>;
const periodCodes = { daily: 'd', monthly: 'm', never: 'n' } as const satisfies Record<ResetPeriod, string>;
const notSet = '-';

/** As lua/fragments/api-key.lua takes them. */
function quotasArg(quotas: readonly ApiKeyQuota[]): string {
  if (quotas.length === 0) return '';
  const told = quotas.map(({ apiKeyId, quotaType, resetPeriod, total, used, period }) => [
    apiKeyId,
    typeCodes[quotaType] + periodCodes[resetPeriod],
    total?.toString() ?? notSet,
    used.toString(),
    period ?? notSet,
  ]);
  return JSON.stringify(told);
}

const quotasOf = 'quotas:';

/** Those that are set, by API key, type and period. */
function readQuotas(fields: ReadonlyMap<string, string>): readonly ApiKeyQuota[] {
  const names = [...fields.keys()].filter((name) => name.startsWith(quotasOf)).sort();
  return names.flatMap((name) => {
    const texts = (fields.get(name) ?? '').split(';').slice(0, -1);
    const quotas = texts.flatMap((text) => readQuota(name.slice(quotasOf.length) as ApiKeyId, text));
    const nameOf = (quota: ApiKeyQuota) => `${quota.quotaType} ${quota.resetPeriod}`;
    return quotas.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  });
}

function readQuota(apiKeyId: ApiKeyId, text: string): readonly ApiKeyQuota[] {
  const [code = '', , total, used, period] = text.split(' ');
  const quotaType = quotaTypes.find((type) => typeCodes[type] === code[0]);
  const resetPeriod = resetPeriods.find((one) => periodCodes[one] === code[1]);
  if (quotaType === undefined || resetPeriod === undefined) throw unexpected(text);
  if (present(total, text) === notSet) return [];
  const quota = {
    apiKeyId,
    quotaType,
    resetPeriod,
    total: BigInt(present(total, text)),
    used: BigInt(present(used, text)),
    period: present(period, text) === notSet ? null : present(period, text),
  };
  return [quota];
}

function readProjection(fields: ReadonlyMap<string, string>, tenantId: TenantId): QuotaProjection {
  const text = (name: string) => present(fields.get(name), name);
  const count = (name: string) => Number(text(name));
  const textOrNull = (name: string) => (text(name) === '' ? null : text(name));
  const countOrNull = (name: string) => (text(name) === '' ? null : count(name));
  const booleanOrNull = (name: string) => (text(name) === '' ? null : text(name) === 'true');
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
    maxOpenRequests: countOrNull('max_open_requests'),
    blockOnInsufficient: booleanOrNull('block_on_insufficient'),
    allowNegative: booleanOrNull('allow_negative'),
    streamAllowNegative: booleanOrNull('stream_allow_negative'),
    apiKeyQuotas: readQuotas(fields),
  };
}

/** @param texts the whole answer: what is left begins behind its first three */
function readRemaining(texts: readonly string[], reply: unknown): Remaining {
  return {
    available: nano(BigInt(present(texts[3], reply))),
    dailyRequests: countOrNull(texts[4], reply),
    monthlyRequests: countOrNull(texts[5], reply),
    requestsPerMinute: readRate(texts, 6, reply),
    tokensPerMinute: readRate(texts, 9, reply),
    apiKey: readRemainingOfKey(texts, 12, reply),
  };
}

function readRemainingOfKey(texts: readonly string[], from: number, reply: unknown): RemainingOfApiKey {
  const count = (text: string | undefined) => (present(text, reply) === '' ? null : BigInt(text ?? ''));
  const left = count(texts[from + 2]);
  const [requests, tokens] = [count(texts[from]), count(texts[from + 1])];
  return { requests, tokens, amount: left === null ? null : nano(left) };
}

function readRate(texts: readonly string[], from: number, reply: unknown): RemainingRate | null {
  const limit = countOrNull(texts[from], reply);
  const remaining = countOrNull(texts[from + 1], reply);
  const resetsInMs = countOrNull(texts[from + 2], reply);
  return limit === null || remaining === null || resetsInMs === null
    ? null
    : { limit, remaining, resetsInMs };
}

function readLimit(name: string | undefined, reply: unknown): Limit {
  const limit = limits.find((known) => known === name);
  if (limit === undefined) throw unexpected(reply);
  return limit;
}

function countOrNull(text: string | undefined, reply: unknown): number | null {
  return present(text, reply) === '' ? null : Number(text);
}

function readTexts(reply: unknown): readonly string[] {
  if (!Array.isArray(reply) || !reply.every((part) => typeof part === 'string')) throw unexpected(reply);
  return reply;
}

function present(text: string | undefined, reply: unknown): string {
  if (text === undefined) throw unexpected(reply);
  return text;
}
