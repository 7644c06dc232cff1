import type { TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import type { NanoUsd } from '../domain/money.ts';
import type { QuotaProjection } from '../domain/quota.ts';
import type { TenantSnapshot } from '../ledger/ledger.ts';

/** May this request run? */
export interface QuotaCheck {
  readonly tenantId: TenantId;
  readonly traceId: TraceId;
  /** Whose hold it will be: of two requests under one trace id, only this one can give it back. */
  readonly holder: TransactionId;
  readonly holdAmount: NanoUsd;
}

/** The PENDING row of an admitted request is durable. */
export interface Confirmation extends QuotaCheck {
  /** The day that the row counts in, as the check said. */
  readonly periodDay: string;
}

/** What is left after the decision. Null is unlimited. */
export interface Remaining {
  /** balance + credit limit − open holds. */
  readonly available: NanoUsd;
  readonly dailyRequests: number | null;
  readonly monthlyRequests: number | null;
}

/** A hold and whose it is. */
export type HoldRef = Pick<QuotaCheck, 'tenantId' | 'traceId' | 'holder'>;

/**
 * The hold is placed and the request is counted. Asked again by a holder whose hold stands, it is counted once, and
 * the hold is what was asked for last.
 */
export interface Admitted {
  readonly kind: 'admitted';
  /** The day, in the tenant's time zone, that the request counts in. */
  readonly periodDay: string;
  readonly remaining: Remaining;
}

export type Limit = 'balance' | 'daily_requests' | 'monthly_requests';

/** Nothing changed. Names the first limit that stands in the way. */
export interface Denied {
  readonly kind: 'denied';
  readonly limit: Limit;
  readonly remaining: Remaining;
  /** When this limit frees by itself; null where it doesn't (money). Milliseconds since the epoch. */
  readonly freesAtMs: number | null;
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
  readonly available: NanoUsd;
}

/** There is less available than the hold would have to grow. Nothing changed. */
export interface NotExtended {
  readonly kind: 'denied';
  readonly available: NanoUsd;
}

export interface QuotaState {
  readonly projection: QuotaProjection;
  /** Σ of the open holds. */
  readonly held: NanoUsd;
  readonly openHolds: number;
}

/**
 * Admits or denies; knows no money of its own. Every call may be repeated: keyed by trace id and
 * holder, the second answers as the first.
 *
 * @throws Fault HOT_STATE_UNAVAILABLE when it can't be reached.
 */
export interface HotState {
  /**
   * Atomic over all limits: places the hold and counts the request, or changes nothing. The hold stands for
   * 30 seconds, unless it is confirmed: who placed it may have died.
   */
  check(check: QuotaCheck): Promise<Admitted | Denied | Cold | AlreadyOpen | Settled>;
  /**
   * The request's PENDING row is durable: its hold stays until it is settled. A hold that was lost in the
   * meantime, with all of hot state or for its age, is placed anew if every limit allows; where one denies, or
   * the request was settled, the row has to be voided. Nothing may be delivered before it is confirmed: a
   * flush between check and row lets another request have the same money.
   */
  confirm(confirmation: Confirmation): Promise<Admitted | Denied | Cold | Settled>;
  /**
   * Enlarges the hold of a confirmed request to `holdAmount`, which is the whole and not what is added. A hold
   * that was lost is placed anew.
   */
  extend(extension: Confirmation): Promise<Extended | NotExtended | Cold | Settled>;
  /** Takes the projection if its version is newer, and releases the hold if it is this holder's. */
  deduct(hold: HoldRef, projection: QuotaProjection): Promise<void>;
  /** Releases the hold of a voided request if it is this holder's; the request then no longer counts. */
  release(hold: HoldRef): Promise<void>;
  /** Takes the projection if its version is newer: after a top-up or a change of limits. */
  project(projection: QuotaProjection): Promise<void>;
  /**
   * Fills a cold tenant: its open pendings become holds. On a tenant that is loaded, and with a ticket that is
   * lost or 20 seconds old, it takes a newer projection and nothing else: ask again.
   */
  load(snapshot: TenantSnapshot, ticket: LoadTicket): Promise<void>;
  /** What hot state knows of a tenant; undefined when cold. */
  look(tenantId: TenantId): Promise<QuotaState | undefined>;
}
