import type { TenantId } from '../domain/ids.ts';

/** What is told to webhooks. The ledger's statements write them, each with the transaction that is its cause. */
export const eventTypes = ['balance.low', 'credit.low', 'quota.low', 'api_key_quota.low'] as const;
export type EventType = (typeof eventTypes)[number];

/** Amounts and counts are decimal strings. */
export type EventData = Readonly<Record<string, string | number | null>>;

export interface OutboxEvent {
  /** The same in each attempt and for each webhook: by it a receiver knows a repeat. */
  readonly id: string;
  readonly tenantId: TenantId;
  readonly type: EventType;
  readonly data: EventData;
  readonly createdAt: Date;
}

export type DeliveryState = 'due' | 'delivered' | 'failed';

export interface DeliveryReport {
  readonly webhookId: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  /** Null where no attempt is to come. */
  readonly nextAttemptAt: Date | null;
  readonly deliveredAt: Date | null;
  /** Why the last attempt failed, for people. */
  readonly lastError: string | null;
}

export interface ReportedEvent extends OutboxEvent {
  /** Where it is in the outbox, a decimal integer. */
  readonly position: string;
  /** None yet, or none wanted. */
  readonly deliveries: readonly DeliveryReport[];
}

/** One event for one webhook, which nobody else attempts until the lease ends. */
export interface ClaimedDelivery {
  readonly webhook: Pick<Webhook, 'id' | 'url' | 'secret'>;
  readonly position: string;
  readonly event: OutboxEvent;
  /** Which attempt this is; 1 is the first. */
  readonly attempt: number;
}

export interface Claim {
  /** Webhooks to leave alone. */
  readonly except: readonly string[];
  readonly maxPerWebhook: number;
  /** How long an attempt may take: afterwards it counts as failed, and is anybody's. */
  readonly leaseMs: number;
}

export interface EventFilter {
  readonly tenantId?: TenantId;
  /** Only events of a smaller position: the last one of the page before. */
  readonly before?: string;
  readonly limit: number;
}

/**
 * Events on their way to webhooks, durable from the transaction that caused them on. Each reaches each webhook at
 * least once, in any order.
 * @throws Fault LEDGER_UNAVAILABLE when it can't be reached; all may be repeated.
 */
export interface Outbox {
  /** Makes a delivery of each new event for each webhook that wants it. Resolves to the number of events seen. */
  dispatch(): Promise<number>;
  /** Takes due deliveries, those that are due longest first. */
  claim(claim: Claim): Promise<readonly ClaimedDelivery[]>;
  delivered(delivery: ClaimedDelivery): Promise<void>;
  /** @param againInMs null gives up. What another attempt has done since then is not touched. */
  failed(delivery: ClaimedDelivery, reason: string, againInMs: number | null): Promise<void>;
  /** Sends no more to it, and gives up what is due. */
  disable(webhookId: string, reason: string): Promise<void>;
  /** Newest first. */
  list(filter: EventFilter): Promise<readonly ReportedEvent[]>;
}

export interface Webhook {
  readonly id: string;
  /** Null: events of all tenants. */
  readonly tenantId: TenantId | null;
  readonly url: string;
  /** Signs what is sent: `whsec_` and the key in base64. */
  readonly secret: string;
  /** Null: events of all types. */
  readonly events: readonly EventType[] | null;
  readonly createdAt: Date;
  /** When it said that it is gone. */
  readonly disabledAt: Date | null;
}

export type NewWebhook = Omit<Webhook, 'createdAt' | 'disabledAt'>;

/** To whom events go. */
export interface Webhooks {
  add(webhook: NewWebhook): Promise<Webhook>;
  /** Oldest first. */
  list(): Promise<readonly Webhook[]>;
  /** With what is still to be sent to it. Resolves to whether it was there. */
  remove(id: string): Promise<boolean>;
}
