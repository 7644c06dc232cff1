import type { ErrorCode } from '../domain/errors.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import type { NanoUsd } from '../domain/money.ts';
import type { Outcome } from '../domain/transaction.ts';
import type { MeteredUsage } from '../domain/usage.ts';
import type { Limit } from '../hot-state/hot-state.ts';

/** One request, told once it is over. Never a secret, never text of prompt or answer. */
export interface RequestSummary {
  readonly traceId: TraceId | null;
  readonly tenantId: TenantId | null;
  readonly apiKeyId: ApiKeyId | null;
  readonly model: string | null;
  readonly provider: string | null;
  readonly stream: boolean | null;
  /** Set when it was refused. */
  readonly code: ErrorCode | null;
  readonly outcome: Outcome | null;
  readonly transactionId: TransactionId | null;
  readonly metered: MeteredUsage | null;
  readonly charge: NanoUsd | null;
  /** Classes that occurred and have no price, not even a sibling's: they were charged nothing. */
  readonly unpriced: readonly string[];
  /** The limit that would have refused it, had it not been admitted to observe. */
  readonly exceeded: Limit | null;
  readonly latencyMs: number;
  readonly timeToFirstByteMs: number | null;
}

/** How near our own count of an answer came to its provider's. */
export interface TokenAccuracy {
  /** The upstream's name of it. */
  readonly model: string;
  /** Tokens by our count. */
  readonly counted: number;
  /** Tokens as its provider counted them. */
  readonly reported: number;
  /** 0 to 100: 100 where both are equal, 0 where ours is off by all of it or more. */
  readonly percent: number;
}

/** Whether a request may run, once that was decided. */
export interface QuotaCheckSummary {
  /** Null where it was admitted. */
  readonly refusedWith: ErrorCode | null;
  readonly durationMs: number;
}

/** One attempt to have a request answered by an upstream. */
export interface UpstreamAttempt {
  readonly provider: string;
  /** Of its answer, or why there was none. */
  readonly result: number | 'connection' | 'timeout' | 'aborted';
  /** Until the head of the answer was there, or it was given up. */
  readonly latencyMs: number;
}

/** A charge that the ledger has taken. */
export interface ChargeSummary {
  /** The public name. */
  readonly model: string;
  readonly stream: boolean;
  readonly metered: MeteredUsage;
  readonly amount: NanoUsd;
  /** What the provider charges us; null where that isn't known. */
  readonly costAmount: NanoUsd | null;
}

/** A tenant whose hot state isn't what the ledger says of it. */
export interface TenantDifference {
  readonly tenantId: TenantId;
  /** By how much its available money differs, zero or more: it may also be a counter that does. */
  readonly amount: NanoUsd;
  /** For people, one line each. */
  readonly what: readonly string[];
}

/** No more tenants are told by name: each is a time series. */
export const mostTenantsReported = 50;

/** What a comparison of hot state with the ledger came to. */
export interface ReconcileReport {
  /** Tenants that were looked at, those that are cold among them. */
  readonly checked: number;
  readonly differing: number;
  /** Of these, how many were repaired. */
  readonly repaired: number;
  /** Over all that differ. */
  readonly amount: NanoUsd;
  /** Those that differ by the most money, 50 of them at the most. */
  readonly tenants: readonly TenantDifference[];
}

/** Items of one kind that the ledger wrote by one statement, from one lane. */
export interface WrittenBatch {
  readonly size: number;
  /** Of these, how many were refused or found the ledger away. */
  readonly failed: number;
  /** From the arrival of its oldest item to the start of the write. */
  readonly waitedMs: number;
  /** Until every item was answered, repeats included. */
  readonly writeMs: number;
  /** What waited then in the lanes that it was of, of every kind. */
  readonly queueLength: number;
}

/** Who watches what is asked of hot state. Nothing it does can fail an answer. */
export interface ScriptObserver {
  /** A script's round trip to Redis, whatever came of it. */
  scriptRun(script: string, durationMs: number): void;
}

/** Who watches the ledger. Nothing it does can fail a write. */
export interface LedgerObserver {
  batchWritten(batch: WrittenBatch): void;
}

/** Who watches whether hot state and the ledger agree. Nothing it does can fail a comparison. */
export interface ReconcileObserver {
  /** What the last report named and this one doesn't differs no more. Null: it is another process' to tell now. */
  reconciled(report: ReconcileReport | null): void;
}

/** Who watches all of it. */
export type GatewayObserver = Observer & LedgerObserver & ReconcileObserver & ScriptObserver;

/** Who watches the gateway. Nothing it does can fail a request. */
export interface Observer {
  requestEnded(summary: RequestSummary): void;
  /** Refused before it was read, and so by nobody who knows whose it is. */
  turnedAway(code: ErrorCode): void;
  quotaChecked(check: QuotaCheckSummary): void;
  /** Its PENDING transaction is durable, and its hold stands. */
  opened(isStream: boolean): void;
  upstreamAnswered(attempt: UpstreamAttempt): void;
  charged(summary: ChargeSummary): void;
  /** Our count of a stream that its provider counted too; of a sample of such streams. */
  tokensCompared(accuracy: TokenAccuracy): void;
  /** What a process that died had left open was closed: to its last checkpoint, or without a charge. */
  orphanSettled(traceId: TraceId, isCharged: boolean): void;
  /** Something broke that the request survived, or that ended it. `what` is one of few: which one it was is the error's to say. */
  fault(what: string, error: unknown, traceId: TraceId | null): void;
}
