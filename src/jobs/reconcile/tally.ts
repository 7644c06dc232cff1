import type { TenantId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import {
  mostTenantsReported,
  type ReconcileReport,
  type TenantDifference,
} from '../../observability/observer.ts';
import { amountOf, type Difference, describeDifference } from './differences.ts';

const mostLines = 20;

/** Counts what a run finds, with no more of it in memory than is reported. */
export function createTally() {
  let [checked, differing, repaired] = [0, 0, 0];
  let amount = 0n;
  let tenants: readonly TenantDifference[] = [];
  return {
    checked: () => {
      checked += 1;
    },
    repaired: () => {
      repaired += 1;
    },
    differs: (tenantId: TenantId, differences: readonly Difference[]) => {
      const what = differences.slice(0, mostLines).map(describeDifference);
      const left = differences.length - what.length;
      const lines = left === 0 ? what : [...what, `and ${left} more`];
      const found = { tenantId, amount: amountOf(differences), what: lines };
      differing += 1;
      amount += found.amount;
      tenants = [...tenants, found]
        .sort((a, b) => Number(b.amount > a.amount) - Number(b.amount < a.amount))
        .slice(0, mostTenantsReported);
    },
    report: (): ReconcileReport => ({ checked, differing, repaired, amount: nano(amount), tenants }),
  };
}
