import type { ApiKeyId, InstanceId, RequestHash, TenantId, TraceId, TransactionId } from './ids.ts';
import type { NanoUsd, Rate } from './money.ts';
import type { PriceList } from './pricing.ts';
import type { Receipt } from './receipt.ts';
import type { Usage, UsageMethod } from './usage.ts';

export const transactionTypes = ['CHARGE', 'TOPUP', 'ADJUSTMENT', 'REFUND'] as const;
export type TransactionType = (typeof transactionTypes)[number];

export const transactionStatuses = ['PENDING', 'COMMITTED', 'VOIDED'] as const;
export type TransactionStatus = (typeof transactionStatuses)[number];

interface TransactionFacts {
  readonly id: TransactionId;
  readonly tenantId: TenantId;
  readonly apiKeyId: ApiKeyId | null;
  readonly traceId: TraceId;
  readonly type: TransactionType;
  readonly currency: string;
  readonly requestHash: RequestHash;
  /** What was reserved for it while it was open; null for what was never a request. */
  readonly holdAmount: NanoUsd | null;
  readonly provider: string | null;
  readonly model: string | null;
  /** While it is open, all that it may be priced by; once committed, the rates that it was priced by. */
  readonly rates: PriceList | null;
  /** What the tenant pays of the rates, in parts per million. */
  readonly multiplierPpm: bigint | null;
  /** Listed prices per 1,000,000 tokens. */
  readonly inputPrice: Rate | null;
  readonly outputPrice: Rate | null;
  /** The day in the tenant's time zone in which the request was admitted. */
  readonly periodDay: string | null;
  /** The gateway process that opened it, and until when it was to end; null for what was never open. */
  readonly owner: InstanceId | null;
  readonly expiresAt: Date | null;
  readonly description: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface PendingTransaction extends TransactionFacts {
  readonly status: 'PENDING';
  readonly owner: InstanceId;
  readonly expiresAt: Date;
}

export interface CommittedTransaction extends TransactionFacts {
  readonly status: 'COMMITTED';
  /** A CHARGE takes it from the balance; every other type adds it, and may then be negative. */
  readonly amount: NanoUsd;
  readonly usage: Usage | null;
  readonly usageMethod: UsageMethod | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** What the provider charges us, where that is known. */
  readonly costAmount: NanoUsd | null;
  /** How the amount came about; null for what was no request. */
  readonly receipt: Receipt | null;
  /** Gapless per tenant, from 1. */
  readonly seq: number;
  readonly balanceBefore: NanoUsd;
  readonly balanceAfter: NanoUsd;
  /** The REFUND that undid it. */
  readonly reversedBy: TransactionId | null;
}

export interface VoidedTransaction extends TransactionFacts {
  readonly status: 'VOIDED';
}

export type Transaction = PendingTransaction | CommittedTransaction | VoidedTransaction;

/** How a request ended: DESIGN.md section 6, a row each. */
export const outcomes = [
  'completed',
  'client_gone',
  'upstream_refused',
  'upstream_cut',
  'upstream_error',
  'balance_exhausted',
  'timeout',
  'gateway_died',
] as const;
export type Outcome = (typeof outcomes)[number];

/** What is kept of a closed request beside its money. */
export interface UsageRecord {
  readonly outcome: Outcome;
  readonly stream: boolean;
  /** Whether the stream ran to its end; null for what is not a stream. */
  readonly streamCompleted: boolean | null;
  readonly streamError: string | null;
  readonly finishReason: string | null;
  readonly latencyMs: number;
  /** From the request's arrival to the first byte for the client; null where none was sent. */
  readonly timeToFirstByteMs: number | null;
}
