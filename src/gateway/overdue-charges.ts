import type { Timers } from '../domain/clock.ts';
import type { TenantId } from '../domain/ids.ts';

/** As long as an answer waits for its charge: after that the client has it without. */
const overdueAfterMs = 5_000;

/**
 * Tenants with an answer that is delivered and not charged yet. A disk that is full may have room for the row that
 * opens a request and none for its charge: a tenant that goes on would be served on credit that nobody gave.
 */
export class OverdueCharges {
  readonly #clock: Timers;
  readonly #charges = new Map<TenantId, number>();

  constructor(clock: Timers) {
    this.#clock = clock;
  }

  has(tenantId: TenantId): boolean {
    return this.#charges.has(tenantId);
  }

  /** Until `charge` resolves or rejects. */
  watch(tenantId: TenantId, charge: Promise<unknown>): void {
    let isOverdue = false;
    const forget = this.#clock.after(overdueAfterMs, () => {
      isOverdue = true;
      this.#change(tenantId, 1);
    });
    const end = () => {
      forget();
      if (isOverdue) this.#change(tenantId, -1);
    };
    charge.then(end, end);
  }

  #change(tenantId: TenantId, by: number): void {
    const count = (this.#charges.get(tenantId) ?? 0) + by;
    if (count === 0) this.#charges.delete(tenantId);
    else this.#charges.set(tenantId, count);
  }
}
