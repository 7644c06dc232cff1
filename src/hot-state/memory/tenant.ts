import type { TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import type { NanoUsd } from '../../domain/money.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import type { HoldRef } from '../hot-state.ts';

export interface Hold {
  readonly holder: TransactionId;
  readonly amount: NanoUsd;
  readonly periodDay: string;
  /** Placed by a check, brought back by a snapshot, or confirmed when its PENDING row is durable. */
  readonly state: 'checked' | 'loaded' | 'confirmed';
}

/**
 * A hold that isn't confirmed in this time is dropped. One that is confirmed later still is placed anew, if
 * the money is there.
 */
const unconfirmedForMs = 30_000;
const mostDroppedAtOnce = 100;

/** A tenant in hot state: its projection, and its open holds. */
export class Tenant {
  readonly tenantId: TenantId;
  /** Null before the first one came. */
  projection: QuotaProjection | null = null;
  /** False until a snapshot told the open holds. */
  isLoaded = false;
  /** Given to those who were told that it is cold; null once it is loaded. */
  ticket: string | null = null;
  readonly holds = new Map<TraceId, Hold>();
  held = 0n;
  /** Open holds by the day they count in. */
  readonly openByDay = new Map<string, number>();
  /** When holds that aren't confirmed are dropped, soonest first. */
  readonly #unconfirmed = new Map<TraceId, number>();

  constructor(tenantId: TenantId) {
    this.tenantId = tenantId;
  }

  /** Takes a projection if it is newer. */
  project(projection: QuotaProjection): void {
    if (this.projection === null || projection.version > this.projection.version)
      this.projection = projection;
  }

  /** Where none stands under this trace id. */
  place(traceId: TraceId, hold: Hold, nowMs: number): void {
    this.holds.set(traceId, hold);
    this.held += hold.amount;
    this.openByDay.set(hold.periodDay, (this.openByDay.get(hold.periodDay) ?? 0) + 1);
    if (hold.state === 'checked') this.#unconfirmed.set(traceId, nowMs + unconfirmedForMs);
  }

  /** Removes a hold if it is this holder's. */
  settle({ traceId, holder }: HoldRef): void {
    const hold = this.holds.get(traceId);
    if (hold?.holder === holder) this.drop(traceId, hold);
  }

  drop(traceId: TraceId, hold: Hold): void {
    this.holds.delete(traceId);
    this.#unconfirmed.delete(traceId);
    this.held -= hold.amount;
    const open = (this.openByDay.get(hold.periodDay) ?? 1) - 1;
    if (open === 0) this.openByDay.delete(hold.periodDay);
    else this.openByDay.set(hold.periodDay, open);
  }

  dropUnconfirmed(nowMs: number): void {
    let dropped = 0;
    for (const [traceId, untilMs] of this.#unconfirmed) {
      if (untilMs > nowMs || dropped++ === mostDroppedAtOnce) return;
      const hold = this.holds.get(traceId);
      if (hold !== undefined) this.drop(traceId, hold);
    }
  }
}

/** Tenants in the order of their last use. */
export class TenantTable {
  readonly #tenants = new Map<TenantId, Tenant>();
  readonly #maxTenants: number;

  constructor(maxTenants: number) {
    this.#maxTenants = maxTenants;
  }

  find(tenantId: TenantId): Tenant | undefined {
    const tenant = this.#tenants.get(tenantId);
    if (tenant !== undefined) {
      this.#tenants.delete(tenantId);
      this.#tenants.set(tenantId, tenant);
    }
    return tenant;
  }

  /** One that isn't here begins empty and cold. */
  get(tenantId: TenantId): Tenant {
    const known = this.find(tenantId);
    if (known !== undefined) return known;
    const tenant = new Tenant(tenantId);
    this.#tenants.set(tenantId, tenant);
    this.#forgetIdle();
    return tenant;
  }

  #forgetIdle(): void {
    if (this.#tenants.size <= this.#maxTenants) return;
    for (const [tenantId, tenant] of this.#tenants) {
      if (tenant.holds.size > 0) continue;
      this.#tenants.delete(tenantId);
      return;
    }
  }
}
