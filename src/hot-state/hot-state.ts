import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import type { NanoUsd } from '../domain/money.ts';
import type { QuotaProjection } from '../domain/quota.ts';
import type { Soon } from '../domain/soon.ts';
import type { TenantSnapshot } from '../ledger/ledger.ts';

/** A hold and whose it is. */
export interface HoldRef {
  readonly tenantId: TenantId;
  readonly apiKeyId: ApiKeyId;
  readonly traceId: TraceId;
  /** Of two requests under one trace id, only this one can give the hold back. */
  readonly holder: TransactionId;
}

/** What the call brings along, since hot state keeps projections of tenants alone. Null is unlimited. */
export interface CalledLimits {
  /** Open requests of the tenant at once. */
  readonly maxOpenRequests: number | null;
  readonly apiKey: {
    readonly rpmLimit: number | null;
    readonly tpmLimit: number | null;
    readonly maxOpenRequests: number | null;
  };
}

/** May this request run? */
export interface QuotaCheck extends HoldRef {
  readonly holdAmount: NanoUsd;
  /** Input and output tokens at the most: what the limits of tokens a minute, and an API key's quotas of tokens, reserve. */
  readonly tokens: number;
  readonly limits: CalledLimits;
  /** The limits of money, of requests a day and a month, and an API key's quotas deny nothing; `exceeded` tells the first that would. */
  readonly observe: boolean;
}

/** The PENDING row of an admitted request is durable. */
export interface Confirmation extends HoldRef {
  readonly holdAmount: NanoUsd;
  /** As they were checked, for a hold that was lost. */
  readonly tokens: number;
  /** The day that the row counts in, as the check said. */
  readonly periodDay: string;
  readonly observe: boolean;
}

/** A request that goes on needs a larger hold. */
export type Extension = Omit<Confirmation, 'observe'>;

/** Of the last 60 seconds. */
export interface RemainingRate {
  readonly limit: number;
  readonly remaining: number;
  /** Until nothing counts any more, if nothing else comes. */
  readonly resetsInMs: number;
}

/** What is left after the decision. Null is unlimited. */
export interface Remaining {
  /** balance + credit limit − open holds. */
  readonly available: NanoUsd;
  readonly dailyRequests: number | null;
  readonly monthlyRequests: number | null;
  /** The tighter one of the tenant's and the API key's; null from a confirmation, which counts nothing. */
  readonly requestsPerMinute: RemainingRate | null;
  readonly tokensPerMinute: RemainingRate | null;
  readonly apiKey: RemainingOfApiKey;
}

/** The least that the quotas of an API key have left, open requests counted; below zero where they exceed one. */
export interface RemainingOfApiKey {
  readonly requests: bigint | null;
  readonly tokens: bigint | null;
  readonly amount: NanoUsd | null;
}

/**
 * The hold is placed and the request is counted. Asked again by a holder whose hold stands, it is counted once, and
 * the hold is what was asked for last.
 */
export interface Admitted {
  readonly kind: 'admitted';
  /** The day, in the tenant's time zone, that the request counts in. */
  readonly periodDay: string;
  readonly remaining: Remaining;
  /** Which limit would have denied it, had it not been admitted to observe. */
  readonly exceeded: Limit | null;
}

/** The hold stays until it is settled. */
export interface Confirmed {
  readonly kind: 'confirmed';
}

/** In the order in which they are looked at. */
export const limits = [
  'balance',
  'daily_requests',
  'monthly_requests',
  'requests_per_minute',
  'tokens_per_minute',
  'api_key_requests_per_minute',
  'api_key_tokens_per_minute',
  'api_key_requests',
  'api_key_tokens',
  'api_key_amount',
  'open_requests',
  'api_key_open_requests',
] as const;
export type Limit = (typeof limits)[number];

/** Nothing changed. Names the first limit that stands in the way. */
export interface Denied {
  readonly kind: 'denied';
  readonly limit: Limit;
  readonly remaining: Remaining;
  /**
   * How long until the request would pass if nothing else comes, by hot state's own clock and over all limits of
   * time that stand in the way. Null where no time helps: for want of money, for more tokens than a limit has in
   * all; and where it can't be known: while requests are open.
   */
  readonly freesInMs: number | null;
}

/**
 * Permits to load a snapshot that is taken after it was given. Lost with hot state: a snapshot from before a
 * loss may lack holds that were placed and made durable in between.
 */
export type LoadTicket = string & { readonly brand: 'LoadTicket' };

/** The tenant isn't in hot state: load a snapshot and ask again. */
export interface Cold {
  readonly kind: 'cold';
  readonly ticket: LoadTicket;
}

/** Another request under this trace id has a hold. Nothing changed. */
export interface AlreadyOpen {
  readonly kind: 'already_open';
}

/** This very request was settled a short while ago: the ledger knows how. No hold was placed. */
export interface Settled {
  readonly kind: 'settled';
}

/** The hold covers that much. */
export interface Extended {
  readonly kind: 'extended';
  /** What it may grow by besides. */
  readonly available: NanoUsd;
}

/** The hold would have to grow by more than may be held. Nothing changed. */
export interface NotExtended {
  readonly kind: 'denied';
  /** The balance, or an amount that the API key may spend: whichever has less left. */
  readonly limit: 'balance' | 'api_key_amount';
  /** What it may grow by. */
  readonly available: NanoUsd;
}

/** A session and the request that has it, or wants it. */
export interface SessionLock {
  readonly tenantId: TenantId;
  readonly sessionId: string;
  readonly holder: TransactionId;
}

/** A session that isn't locked again in this time is free: who had it may have died. */
export const sessionLockMs = 15_000;

export interface QuotaState {
  readonly projection: QuotaProjection;
  /** Σ of the open holds. */
  readonly held: NanoUsd;
  readonly openHolds: number;
}

/** What a hold is: placed by a check, brought back by a snapshot, or confirmed when its PENDING row was durable. */
export type HoldState = 'checked' | 'loaded' | 'confirmed';

/** A hold as it stands. */
export interface StandingHold extends HoldRef {
  /** May have grown beyond what its PENDING row says. */
  readonly amount: NanoUsd;
  readonly tokens: number;
  readonly periodDay: string;
  readonly state: HoldState;
}

/** What is kept beside the holds and decides: it has to be their sum. In no particular order. */
export interface HoldSums {
  readonly held: NanoUsd;
  readonly openByDay: readonly { readonly periodDay: string; readonly requests: bigint }[];
  readonly ofApiKeys: readonly ReservedByKey[];
}

/** What the open requests of an API key, of one day, keep free of its quotas. */
export interface ReservedByKey {
  readonly apiKeyId: ApiKeyId;
  readonly periodDay: string;
  readonly requests: bigint;
  readonly tokens: bigint;
  readonly amount: NanoUsd;
}

/** All that hot state knows of a tenant but its minutes, for whoever compares it with the ledger. */
export interface HoldsOfTenant {
  readonly projection: QuotaProjection;
  /** In no particular order. */
  readonly holds: readonly StandingHold[];
  readonly sums: HoldSums;
}

/**
 * Admits or denies; knows no money of its own. Every call may be repeated: keyed by trace id and
 * holder, the second answers as the first. What every request asks is answered at once where hot state is in
 * this process.
 *
 * @throws Fault HOT_STATE_UNAVAILABLE when it can't be reached.
 */
export interface HotState {
  /**
   * Atomic over all limits: places the hold and counts the request, or changes nothing. The hold stands for
   * 30 seconds, unless it is confirmed: who placed it may have died.
   */
  check(check: QuotaCheck): Soon<Admitted | Denied | Cold | AlreadyOpen | Settled>;
  /**
   * The request's PENDING row is durable: its hold stays until it is settled. A hold that was lost in the
   * meantime, with all of hot state or for its age, is placed anew if every limit allows; where one denies, or
   * the request was settled, the row has to be voided. Nothing may be delivered before it is confirmed: a
   * flush between check and row lets another request have the same money.
   */
  confirm(confirmation: Confirmation): Soon<Confirmed | Denied | Cold | Settled>;
  /**
   * Enlarges the hold of a confirmed request to `holdAmount`, which is the whole and not what is added. A hold
   * that was lost is placed anew.
   */
  extend(extension: Extension): Promise<Extended | NotExtended | Cold | Settled>;
  /**
   * Takes the projection if its version is newer, and releases the hold if it is this holder's. The tokens that
   * were really used take the place of those that were reserved in their minute; null where they aren't known.
   */
  deduct(hold: HoldRef, projection: QuotaProjection, tokens: number | null): Soon<void>;
  /**
   * Releases the hold of a voided request if it is this holder's; the request then counts in no day and used no
   * tokens. It stays counted in its minute: it was admitted.
   */
  release(hold: HoldRef): Promise<void>;
  /** Takes the projection if its version is newer: after a top-up or a change of limits. */
  project(projection: QuotaProjection): Promise<void>;
  /**
   * Fills a cold tenant: its open pendings become holds. On a tenant that is loaded, and with a ticket that is
   * lost or 20 seconds old, it takes a newer projection and nothing else: ask again. A hold that was forgotten
   * comes back as far as it had grown.
   */
  load(snapshot: TenantSnapshot, ticket: LoadTicket): Promise<void>;
  /**
   * Locks the session for its request, for 15 seconds from now on, or answers false where another request has it.
   * Not exact through a loss of hot state.
   */
  lockSession(lock: SessionLock): Promise<boolean>;
  /** Gives it back if this request has it. */
  unlockSession(lock: SessionLock): Promise<void>;
  /** What hot state knows of a tenant; undefined when cold. */
  look(tenantId: TenantId): Promise<QuotaState | undefined>;
  /** As `look`, with every hold. */
  holds(tenantId: TenantId): Promise<HoldsOfTenant | undefined>;
  /**
   * Makes the tenant cold, whatever it knew: nobody is admitted before the ledger's snapshot is loaded. Its minutes
   * stay, and so does what was settled. A hold whose row isn't durable yet is lost, and decided anew when it is confirmed.
   */
  forget(tenantId: TenantId): Promise<void>;
}
