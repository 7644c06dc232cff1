import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../../domain/clock.ts';
import { zeroNano } from '../../domain/money.ts';
import type { ReconcileReport } from '../observer.ts';
import { unitsOf } from './units.ts';

const nothing = { tenants: [], amount: zeroNano, differing: 0 };

/** What the last comparison of hot state with the ledger came to. */
export class DifferenceGauges {
  readonly #byTenant: Gauge<'tenant_id'>;
  readonly #sum: Gauge;
  readonly #differing: Gauge;
  readonly #comparedAt: Gauge;
  readonly #clock: Clock;

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock;
    const registers = [registry];
    // Any process of the gateways may have compared last; who did clears what it has named.
    const aggregator = 'max';
    this.#byTenant = new Gauge({
      name: 'quota_redis_db_diff',
      help: 'By how much hot state differs from the ledger, of those tenants that differ most',
      labelNames: ['tenant_id'],
      aggregator,
      registers,
    });
    this.#sum = new Gauge({
      name: 'quota_redis_db_diff_sum',
      help: 'By how much hot state differs from the ledger, over all tenants',
      aggregator,
      registers,
    });
    this.#differing = new Gauge({
      name: 'tollgate_reconcile_differing_tenants',
      help: 'How many tenants differ',
      aggregator,
      registers,
    });
    this.#comparedAt = new Gauge({
      name: 'tollgate_reconcile_timestamp_seconds',
      help: 'When hot state was last compared with the ledger by this process',
      aggregator,
      registers,
    });
    // Not in 1970: it hasn't yet.
    this.#comparedAt.remove();
  }

  /** Null: another process tells, and this one had better be silent. */
  take(report: ReconcileReport | null): void {
    const { tenants, amount, differing } = report ?? nothing;
    this.#byTenant.reset();
    for (const { tenantId, amount: one } of tenants) {
      this.#byTenant.set({ tenant_id: tenantId }, unitsOf(one));
    }
    this.#sum.set(unitsOf(amount));
    this.#differing.set(differing);
    if (report !== null) this.#comparedAt.set(this.#clock.now() / 1000);
  }
}
