import { z } from 'zod';
import { quotaTypes, resetPeriods } from '../domain/api-key-quota.ts';
import type { ApiKeyId, TenantId } from '../domain/ids.ts';
import { type AdminCall, type AdminDependencies, adminCall, ok } from './admin-call.ts';
import { project } from './posting.ts';
import { unknownTenant } from './refusals.ts';
import { withQuota } from './tenants.ts';
import { flag, id, members, must, oneOf } from './validation.ts';

const quotasShape = must(
  'a list of 1 to 1000 quotas, such as {"api_key_id": "key-1", "quota_type": "tokens", "reset_period": "daily"}',
);

const quotaName = members({
  api_key_id: id,
  quota_type: oneOf(quotaTypes),
  reset_period: oneOf(resetPeriods),
});

const reset = members({
  daily: flag.optional(),
  monthly: flag.optional(),
  api_key_quotas: z.array(quotaName, quotasShape).min(1, quotasShape).max(1000, quotasShape).optional(),
}).refine((it) => it.daily === true || it.monthly === true || it.api_key_quotas !== undefined, {
  error: 'must name what is to begin anew: daily, monthly or api_key_quotas',
});

/** Counters that begin anew at nothing used, in the period that they are in. A repeat does no harm but what it says. */
export function resetCalls(dependencies: AdminDependencies): readonly AdminCall[] {
  const { catalog, ledger } = dependencies;
  return [
    adminCall({
      method: 'POST',
      path: '/tenants/{id}/resets',
      params: members({ id }),
      body: reset,
      handle: async ({ params, body, actor }) => {
        const tenant = await catalog.findTenant(params.id as TenantId);
        if (tenant === undefined) return unknownTenant(params.id);
        const changed = await ledger.resetCounters(tenant.id, {
          daily: body.daily ?? false,
          monthly: body.monthly ?? false,
          apiKeyQuotas: (body.api_key_quotas ?? []).map((name) => ({
            apiKeyId: name.api_key_id as ApiKeyId,
            quotaType: name.quota_type,
            resetPeriod: name.reset_period,
          })),
        });
        if (changed.kind === 'unknown_tenant') return unknownTenant(params.id);
        await project(dependencies, changed.projection);
        await catalog.recordAudit({ actor, action: 'tenant.reset', subject: tenant.id, detail: body });
        return ok(await withQuota(dependencies, tenant));
      },
    }),
  ];
}
