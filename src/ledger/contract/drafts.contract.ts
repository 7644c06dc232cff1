import { randomUUIDv7 } from 'node:crypto';
import {
  type ApiKeyId,
  hashRequest,
  type InstanceId,
  type TenantId,
  type TraceId,
  type TransactionId,
} from '../../domain/ids.ts';
import { parseAmount, parseRate } from '../../domain/money.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { UsageRecord } from '../../domain/transaction.ts';
import type { Commit, Deduction, PendingDraft, TopUp, Void } from '../ledger.ts';

// Commands of a tenant, valid but for what a test changes.

export const day = '2026-11-23';
const record: UsageRecord = {
  outcome: 'completed',
  stream: false,
  streamCompleted: null,
  streamError: null,
  finishReason: 'stop',
  latencyMs: 12.5,
  timeToFirstByteMs: 3.25,
};

const rates = { input: parseRate('0.001', 1000), output: parseRate('0.002', 1000) };

export function draftFor(tenantId: TenantId, changes: Partial<PendingDraft> = {}): PendingDraft {
  const traceId = (changes.traceId ?? randomUUIDv7()) as TraceId;
  return {
    id: randomUUIDv7() as TransactionId,
    tenantId,
    apiKeyId: 'key-1' as ApiKeyId,
    traceId,
    requestHash: hashRequest(traceId),
    holdAmount: parseAmount('0.01'),
    holdTokens: 300,
    currency: 'USD',
    provider: 'sim',
    model: 'sim-small',
    rates: { rates },
    multiplierPpm: 1_000_000n,
    inputPrice: parseRate('0.001', 1000),
    outputPrice: parseRate('0.002', 1000),
    periodDay: day,
    ttlMs: 60_000,
    owner: 'instance-1' as InstanceId,
    ...changes,
  };
}

const receipt: Receipt = {
  lines: [
    { usageClass: 'input', units: 100, rate: rates.input, chargedAs: 'input', model: null },
    { usageClass: 'output', units: 200, rate: rates.output, chargedAs: 'output', model: null },
  ],
  aboveInputTokens: null,
  serviceTier: null,
  serviceTierIsPriced: true,
  statedCost: null,
  reported: null,
};

export function commitOf(draft: PendingDraft, amount: string, changes: Partial<Commit> = {}): Commit {
  return {
    tenantId: draft.tenantId,
    traceId: draft.traceId,
    transactionId: draft.id,
    amount: parseAmount(amount),
    metered: { usage: { input: 100, output: 200 }, method: 'usage' },
    costAmount: null,
    provider: null,
    rates,
    receipt,
    record,
    ...changes,
  };
}

export function voidOf(draft: PendingDraft): Void {
  return {
    tenantId: draft.tenantId,
    traceId: draft.traceId,
    transactionId: draft.id,
    description: 'upstream refused',
    record: { ...record, outcome: 'upstream_refused' },
  };
}

export function topUpFor(tenantId: TenantId, amount: string, changes: Partial<TopUp> = {}): TopUp {
  const traceId = (changes.traceId ?? randomUUIDv7()) as TraceId;
  return {
    id: randomUUIDv7() as TransactionId,
    tenantId,
    traceId,
    requestHash: hashRequest(traceId, amount),
    type: 'TOPUP',
    amount: parseAmount(amount),
    description: null,
    ...changes,
  };
}

export function deductionFor(
  tenantId: TenantId,
  amount: string,
  changes: Partial<Deduction> = {},
): Deduction {
  const traceId = (changes.traceId ?? randomUUIDv7()) as TraceId;
  return {
    id: randomUUIDv7() as TransactionId,
    tenantId,
    apiKeyId: null,
    traceId,
    requestHash: hashRequest(traceId, amount),
    amount: parseAmount(amount),
    metered: null,
    model: null,
    periodDay: day,
    description: null,
    ...changes,
  };
}
