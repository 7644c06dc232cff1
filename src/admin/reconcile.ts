import type { TenantId } from '../domain/ids.ts';
import { formatAmount } from '../domain/money.ts';
import type { ReconcileReport } from '../observability/observer.ts';
import { type AdminCall, type AdminDependencies, adminCall, type Json, ok } from './admin-call.ts';
import { unknownTenant } from './refusals.ts';
import { id, members } from './validation.ts';

export interface ReconcileDependencies extends Pick<AdminDependencies, 'catalog'> {
  /** Compares hot state with the ledger, of one tenant or of all (null), and repairs what differs. */
  readonly reconcile: (tenantId: TenantId | null) => Promise<ReconcileReport>;
}

const asked = members({ tenant_id: id.optional() }).optional();

/** Hot state against the ledger, now. It answers when all tenants were looked at, which takes as long as there are many. */
export function reconcileCalls({ catalog, reconcile }: ReconcileDependencies): readonly AdminCall[] {
  return [
    adminCall({
      method: 'POST',
      path: '/reconcile',
      body: asked,
      handle: async ({ body, actor }) => {
        const tenantId = (body?.tenant_id as TenantId | undefined) ?? null;
        if (tenantId !== null && (await catalog.findTenant(tenantId)) === undefined)
          return unknownTenant(tenantId);
        const report = await reconcile(tenantId);
        const { checked, differing, repaired } = report;
        if (repaired > 0) {
          const detail = { checked, differing, repaired };
          await catalog.recordAudit({ actor, action: 'reconcile', subject: tenantId ?? '*', detail });
        }
        return ok(reportJson(report));
      },
    }),
  ];
}

function reportJson({ checked, differing, repaired, amount, tenants }: ReconcileReport): Json {
  return {
    checked,
    differing,
    repaired,
    amount: formatAmount(amount),
    tenants: tenants.map((one) => ({
      tenant_id: one.tenantId,
      amount: formatAmount(one.amount),
      differences: one.what,
    })),
  };
}
