import type { ApiKeyQuotaName } from '../domain/api-key-quota.ts';
import type { ApiKeyId, InstanceId, RequestHash, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import type { NanoUsd, Rate } from '../domain/money.ts';
import type { PriceList, Rates } from '../domain/pricing.ts';
import type { QuotaProjection } from '../domain/quota.ts';
import type { Receipt } from '../domain/receipt.ts';
import type {
  CommittedTransaction,
  Transaction,
  TransactionStatus,
  TransactionType,
  UsageRecord,
  VoidedTransaction,
} from '../domain/transaction.ts';
import type { MeteredUsage } from '../domain/usage.ts';

export interface PendingDraft {
  readonly id: TransactionId;
  readonly tenantId: TenantId;
  readonly apiKeyId: ApiKeyId;
  readonly traceId: TraceId;
  readonly requestHash: RequestHash;
  readonly holdAmount: NanoUsd;
  /** Input and output tokens at the most: what the API key's quotas of tokens keep free for it. */
  readonly holdTokens: number;
  readonly currency: string;
  readonly provider: string;
  readonly model: string;
  /** All that the charge may come from: which of them it does is known at the end. */
  readonly rates: PriceList;
  /** What the tenant pays of the rates, in parts per million. */
  readonly multiplierPpm: bigint;
  readonly inputPrice: Rate | null;
  readonly outputPrice: Rate | null;
  /** ISO date in the tenant's time zone; the request counts in this day and its month. */
  readonly periodDay: string;
  /** From its opening on, by the ledger's clock: those of the processes may differ. */
  readonly ttlMs: number;
  readonly owner: InstanceId;
}

/** The pending row is durable. */
export interface Created {
  readonly kind: 'created';
}

/** The same trace id with the same request hash was here before: nothing was written. */
export interface Duplicate<T extends Transaction = Transaction> {
  readonly kind: 'duplicate';
  readonly transaction: T;
}

/** The same trace id was used for another request: nothing was written. */
export interface Conflict {
  readonly kind: 'conflict';
  readonly transaction: Transaction;
}

export interface UnknownTenant {
  readonly kind: 'unknown_tenant';
}

/** Closes the caller's own pending: another's under the same trace id is never touched. */
export interface Commit {
  readonly tenantId: TenantId;
  readonly traceId: TraceId;
  readonly transactionId: TransactionId;
  readonly amount: NanoUsd;
  readonly metered: MeteredUsage;
  /** What the provider charges us, where that is known. */
  readonly costAmount: NanoUsd | null;
  /** The rates that the charge came from, in place of the pending's price list. */
  readonly rates: Rates;
  readonly receipt: Receipt;
  /** The provider that served it, where failover changed it; null keeps the pending's. */
  readonly provider: string | null;
  readonly record: UsageRecord;
}

/** What hot state needs to hear of a change of the tenant's row. */
export interface Posted {
  readonly transactionId: TransactionId;
  readonly amount: NanoUsd;
  readonly balanceAfter: NanoUsd;
  readonly seq: number;
  /** The tenant's row after the batch that this was part of. */
  readonly projection: QuotaProjection;
}

export interface Committed extends Posted {
  readonly kind: 'committed';
}

export interface AlreadyCommitted {
  readonly kind: 'already_committed';
  readonly transaction: CommittedTransaction;
}

export interface AlreadyVoided {
  readonly kind: 'already_voided';
  readonly transaction: VoidedTransaction;
}

export interface UnknownTransaction {
  readonly kind: 'unknown_transaction';
}

/** All of a commit but whose it is. */
export type CheckpointedClosing = Omit<Commit, 'tenantId' | 'traceId' | 'transactionId'>;

/** What the caller's own pending is to be charged if its process dies now. */
export interface Checkpoint {
  readonly tenantId: TenantId;
  readonly traceId: TraceId;
  readonly transactionId: TransactionId;
  readonly closing: CheckpointedClosing;
}

export interface Checkpointed {
  readonly kind: 'checkpointed';
}

/** It isn't PENDING: somebody has closed it. Nothing was written. */
export interface NotOpen {
  readonly kind: 'not_open';
}

export interface Void {
  readonly tenantId: TenantId;
  readonly traceId: TraceId;
  readonly transactionId: TransactionId;
  /** Why nothing is charged, for people. */
  readonly description: string;
  readonly record: UsageRecord;
}

export interface Voided {
  readonly kind: 'voided';
}

/** Create and commit in one, for jobs and tests. Counts as a request of `periodDay`. */
export interface Deduction {
  readonly id: TransactionId;
  readonly tenantId: TenantId;
  readonly apiKeyId: ApiKeyId | null;
  readonly traceId: TraceId;
  readonly requestHash: RequestHash;
  readonly amount: NanoUsd;
  readonly metered: MeteredUsage | null;
  readonly model: string | null;
  readonly periodDay: string;
  readonly description: string | null;
}

export interface TopUp {
  readonly id: TransactionId;
  readonly tenantId: TenantId;
  readonly traceId: TraceId;
  readonly requestHash: RequestHash;
  readonly type: 'TOPUP' | 'ADJUSTMENT';
  /** Added to the balance. A TOPUP is positive; an ADJUSTMENT may be negative. */
  readonly amount: NanoUsd;
  readonly description: string | null;
}

export interface PostedNow extends Posted {
  readonly kind: 'posted';
  readonly transaction: CommittedTransaction;
}

export interface Reversal {
  /** The transaction to undo. */
  readonly transactionId: TransactionId;
  readonly tenantId: TenantId;
  /** The id of the REFUND. */
  readonly id: TransactionId;
  readonly traceId: TraceId;
  readonly requestHash: RequestHash;
  readonly description: string | null;
}

/** It was undone before, by `transaction`. */
export interface AlreadyReversed {
  readonly kind: 'already_reversed';
  readonly transaction: CommittedTransaction;
}

/** Only what is committed and not itself a REFUND can be undone. */
export interface NotReversible {
  readonly kind: 'not_reversible';
  readonly transaction: Transaction;
}

/** A hold that a cold hot state restores. */
export interface OpenPending {
  readonly transactionId: TransactionId;
  readonly apiKeyId: ApiKeyId;
  readonly traceId: TraceId;
  readonly holdAmount: NanoUsd;
  readonly holdTokens: number;
  readonly periodDay: string;
}

/** A tenant's row with all quotas of its API keys, and its open pendings, all of one moment. */
export interface TenantSnapshot {
  readonly kind: 'snapshot';
  readonly projection: QuotaProjection;
  readonly openPendings: readonly OpenPending[];
}

/** With what no admission needs. */
export interface TenantAccount extends TenantSnapshot {
  /** At what percents left of its limits the tenant is warned; null is the default, 20, 5 and 0. */
  readonly warningThresholds: readonly number[] | null;
}

/** Changes of limits; a member that is absent stays as it is. */
export interface LimitChanges {
  readonly creditLimit?: NanoUsd;
  readonly dailyQuota?: number | null;
  readonly monthlyQuota?: number | null;
  readonly rpmLimit?: number | null;
  readonly tpmLimit?: number | null;
  readonly rateMultiplierPpm?: bigint;
  readonly maxOpenRequests?: number | null;
  readonly blockOnInsufficient?: boolean | null;
  readonly allowNegative?: boolean | null;
  readonly streamAllowNegative?: boolean | null;
  /** Whole percents, 0 to 100; none for no warnings, null for the default. */
  readonly warningThresholds?: readonly number[] | null;
}

export interface LimitsChanged {
  readonly kind: 'changed';
  readonly projection: QuotaProjection;
}

/** A quota that an API key is to have. */
export interface WantedQuota extends Omit<ApiKeyQuotaName, 'apiKeyId'> {
  /** Requests, tokens, or nano. */
  readonly total: bigint;
}

/** Which counters begin anew at nothing used. */
export interface CounterReset {
  readonly daily: boolean;
  readonly monthly: boolean;
  readonly apiKeyQuotas: readonly ApiKeyQuotaName[];
}

export interface TransactionFilter {
  readonly tenantId?: TenantId;
  readonly status?: TransactionStatus;
  readonly type?: TransactionType;
  readonly traceId?: TraceId;
  readonly fromMs?: number;
  readonly toMs?: number;
  /** Only transactions with a smaller id: the last one of the page before. */
  readonly before?: TransactionId;
  readonly limit: number;
}

/**
 * The only truth of money. Every method that writes is durable when it resolves, and answers a
 * repeat (same tenant and trace id, same request hash) as it answered the first time.
 *
 * @throws Fault LEDGER_UNAVAILABLE when the engine can't be reached: the outcome is then unknown, and
 * repeating the call is safe. OVERLOADED when the queue is full: nothing was written.
 */
export interface Ledger {
  createPending(draft: PendingDraft): Promise<Created | Duplicate | Conflict | UnknownTenant>;
  commitPending(commit: Commit): Promise<Committed | AlreadyCommitted | AlreadyVoided | UnknownTransaction>;
  voidPending(close: Void): Promise<Voided | AlreadyCommitted | AlreadyVoided | UnknownTransaction>;
  /** The last one stands. Whoever finds the pending without its process commits what it says. */
  checkpoint(checkpoint: Checkpoint): Promise<Checkpointed | NotOpen>;
  deduct(deduction: Deduction): Promise<PostedNow | Duplicate | Conflict | UnknownTenant>;
  credit(topUp: TopUp): Promise<PostedNow | Duplicate | Conflict | UnknownTenant>;
  reverse(
    reversal: Reversal,
  ): Promise<PostedNow | Duplicate | Conflict | AlreadyReversed | NotReversible | UnknownTransaction>;
  changeLimits(tenantId: TenantId, changes: LimitChanges): Promise<LimitsChanged | UnknownTenant>;
  /**
   * Gives an API key these quotas and no others. One that it has already goes on counting where it is; a new one
   * counts what is committed from then on. The projection tells all of them, and those taken away.
   */
  setApiKeyQuotas(
    tenantId: TenantId,
    apiKeyId: ApiKeyId,
    quotas: readonly WantedQuota[],
  ): Promise<LimitsChanged | UnknownTenant>;
  /** Begins counters anew, in the period that they are in. A quota that isn't there is passed over. */
  resetCounters(tenantId: TenantId, reset: CounterReset): Promise<LimitsChanged | UnknownTenant>;
  snapshot(tenantId: TenantId): Promise<TenantAccount | UnknownTenant>;
  findByTrace(tenantId: TenantId, traceId: TraceId): Promise<Transaction | undefined>;
  findById(id: TransactionId): Promise<Transaction | undefined>;
  /** Newest first; those whose ids were made in the same millisecond stand in any order, always the same one. */
  list(filter: TransactionFilter): Promise<readonly Transaction[]>;
}
