import { randomUUIDv7 } from 'node:crypto';
import {
  type ApiKeyId,
  hashRequest,
  type InstanceId,
  type TenantId,
  type TraceId,
  type TransactionId,
} from '../../src/domain/ids.ts';
import { parseAmount, parseRate } from '../../src/domain/money.ts';
import type { Commit, Deduction, PendingDraft } from '../../src/ledger/ledger.ts';

/** The one tenant that everything is charged to where there is one. */
export const hotTenant = 'hot' as TenantId;
/** What each transaction charges. */
export const charge = parseAmount('0.0005');

const periodDay = '2026-11-23';
const model = 'sim-small';
const apiKeyId = 'key-1' as ApiKeyId;
const rates = { input: parseRate('0.001', 1000), output: parseRate('0.002', 1000) };
const metered = { usage: { input: 100, output: 200 }, method: 'usage' } as const;

/** Those that it is charged to in turns where there are many. */
export const tenantAt = (index: number): TenantId => `spread-${index}` as TenantId;

function identity(tenantId: TenantId) {
  const traceId = randomUUIDv7() as string as TraceId;
  return {
    id: randomUUIDv7() as string as TransactionId,
    tenantId,
    traceId,
    requestHash: hashRequest(traceId),
  };
}

export function newDeduction(tenantId = hotTenant): Deduction {
  return { ...identity(tenantId), apiKeyId, amount: charge, metered, model, periodDay, description: null };
}

export function newDraft(tenantId = hotTenant): PendingDraft {
  return {
    ...identity(tenantId),
    apiKeyId,
    holdAmount: charge,
    holdTokens: 0,
    currency: 'USD',
    provider: 'sim',
    model,
    rates: { rates },
    multiplierPpm: 1_000_000n,
    inputPrice: rates.input,
    outputPrice: rates.output,
    periodDay,
    ttlMs: 600_000,
    owner: 'bench' as InstanceId,
  };
}

export function commitOf({ tenantId, traceId, id }: PendingDraft): Commit {
  return {
    tenantId,
    traceId,
    transactionId: id,
    amount: charge,
    metered,
    costAmount: null,
    provider: null,
    rates,
    receipt: {
      lines: [
        { usageClass: 'input', units: 100, rate: rates.input, chargedAs: 'input', model: null },
        { usageClass: 'output', units: 200, rate: rates.output, chargedAs: 'output', model: null },
      ],
      aboveInputTokens: null,
      serviceTier: null,
      serviceTierIsPriced: true,
      statedCost: null,
      reported: null,
    },
    record: {
      outcome: 'completed',
      stream: false,
      streamCompleted: null,
      streamError: null,
      finishReason: 'stop',
      latencyMs: 12.5,
      timeToFirstByteMs: 3.25,
    },
  };
}
