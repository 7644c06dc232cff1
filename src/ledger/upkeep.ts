import type { TenantId } from '../domain/ids.ts';

/** Some tenants, in the order of their ids. */
export interface TenantPage {
  readonly tenantIds: readonly TenantId[];
  /** Where the next page goes on; null: there is none. */
  readonly next: TenantId | null;
}

export interface TenantPageRequest {
  /** The `next` of the page before; null begins. */
  readonly after: TenantId | null;
  /** `active`: something changed in the last five minutes, or a transaction is open. */
  readonly which: 'all' | 'active';
}

/**
 * What jobs ask the ledger for besides money.
 *
 * @throws Fault LEDGER_UNAVAILABLE when the engine can't be reached
 */
export interface Upkeep {
  /** Whether it is this process' turn to do the job: one of all of them gets it, once in so many milliseconds. */
  claimRun(job: string, everyMs: number): Promise<boolean>;
  /** A page may be empty although there is a next one. */
  tenants(request: TenantPageRequest): Promise<TenantPage>;
}
