import type { ApiKeyId, InstanceId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import type { CheckpointedClosing } from './ledger.ts';

export interface GatewayInstance {
  readonly id: InstanceId;
  readonly host: string;
  readonly pid: number;
  /** Where its pid counts: one kernel's life and one namespace of pids. Another place is another string. */
  readonly place: string;
}

/** As others see it. */
export interface KnownInstance extends Omit<GatewayInstance, 'place'> {
  /** Null: of a version that doesn't beat, and so can't be seen to have stopped. */
  readonly place: string | null;
  /** Another one after each heartbeat. */
  readonly beat: string;
  readonly hasEnded: boolean;
}

/** A PENDING transaction that nobody is at work on. */
export interface Orphan {
  readonly tenantId: TenantId;
  readonly transactionId: TransactionId;
  readonly apiKeyId: ApiKeyId;
  readonly traceId: TraceId;
  readonly owner: InstanceId;
  /** Since it was opened, by the ledger's clock. */
  readonly openMs: number;
  /** What it is charged; `nothing` where nothing was delivered; `unknown` where it can't be read: a newer version has written it. */
  readonly checkpoint: CheckpointedClosing | 'nothing' | 'unknown';
}

export interface OrphanSearch {
  /** Of these, which have ended. */
  readonly owners: readonly InstanceId[];
  /** So long after its expiry, of everybody but other instances that live: each of them cares for its own. */
  readonly expired: { readonly forMs: number; readonly self: InstanceId } | null;
  /** Of everybody but this one: where nobody else can be alive. */
  readonly allBut: InstanceId | null;
  /** Goes on behind this one. */
  readonly after: Pick<Orphan, 'tenantId' | 'transactionId'> | null;
  readonly limit: number;
}

/**
 * The gateway processes on this ledger. @throws Fault LEDGER_UNAVAILABLE when the engine can't be reached; repeating a
 * call is safe.
 */
export interface Instances {
  /** Durable: a ledger that can't take it can't take anything. An instance that has ended stays so. */
  beat(instance: GatewayInstance): Promise<'alive' | 'ended'>;
  /** Those that live, and those whose transactions may still have to be settled. */
  unsettled(): Promise<readonly KnownInstance[]>;
  /** For good, if it hasn't beaten since; null: whatever it did. @returns whether it did this now */
  end(id: InstanceId, beat: string | null): Promise<boolean>;
  orphans(search: OrphanSearch): Promise<readonly Orphan[]>;
  /** Ended ones of which nothing is open so long after their end need no more looking after. */
  markSettled(afterMs: number): Promise<void>;
}

/**
 * A process' right to what it has open. While it is valid nobody else settles that; without it nothing is delivered,
 * since somebody else may have charged it already for what had been delivered until then.
 */
export interface Lease {
  /** Under which new requests are opened. Another one after this process was taken for dead. */
  readonly owner: InstanceId;
  isValid(owner: InstanceId): boolean;
  /** Waits for a heartbeat if need be. @returns whether it is valid then */
  renewed(owner: InstanceId, withinMs: number): Promise<boolean>;
}
