import type { z } from 'zod';
import type { Tenant } from '../catalog/catalog.ts';
import { Fault } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { LimitChanges } from '../ledger/ledger.ts';
import { type AdminCall, type AdminDependencies, adminCall, created, type Json, ok } from './admin-call.ts';
import { idCursor, page, pageSize } from './pages.ts';
import { project } from './posting.ts';
import { isRefusal, unknownTenant } from './refusals.ts';
import { createTenant, limits, newTenant, writeAmounts } from './tenant-creation.ts';
import { id, members } from './validation.ts';
import { tenantJson } from './wire.ts';

const params = members({ id });

const changes = members(limits).refine((it) => Object.values(it).some((value) => value !== undefined), {
  error: `must have at least one of the members ${Object.keys(limits).join(', ')}`,
});

export function tenantCalls(dependencies: AdminDependencies): readonly AdminCall[] {
  return [creation, list, reading, change].map((call) => call(dependencies));
}

function creation(dependencies: AdminDependencies): AdminCall {
  return adminCall({
    method: 'POST',
    path: '/tenants',
    body: newTenant,
    handle: async ({ body, idempotencyKey, actor }) => {
      const tenant = await createTenant(dependencies, { body, idempotencyKey, actor });
      return isRefusal(tenant) ? tenant : created(await withQuota(dependencies, tenant));
    },
  });
}

function list(dependencies: AdminDependencies): AdminCall {
  return adminCall({
    method: 'GET',
    path: '/tenants',
    query: members({ limit: pageSize, cursor: idCursor.optional() }),
    handle: async ({ query }) => {
      const after = query.cursor === undefined ? {} : { after: query.cursor as TenantId };
      const found = await dependencies.catalog.listTenants({ ...after, limit: query.limit + 1 });
      const all = await Promise.all(
        found.map(async (tenant) => ({ id: tenant.id, json: await withQuota(dependencies, tenant) })),
      );
      return page(all, query.limit, { json: (it) => it.json, cursor: (it) => it.id });
    },
  });
}

function reading(dependencies: AdminDependencies): AdminCall {
  return adminCall({
    method: 'GET',
    path: '/tenants/{id}',
    params,
    handle: async ({ params }) => {
      const tenant = await dependencies.catalog.findTenant(params.id as TenantId);
      return tenant === undefined ? unknownTenant(params.id) : ok(await withQuota(dependencies, tenant));
    },
  });
}

function change(dependencies: AdminDependencies): AdminCall {
  const { catalog, ledger } = dependencies;
  return adminCall({
    method: 'PATCH',
    path: '/tenants/{id}',
    // The data plane reads a tenant's multiplier together with its API keys.
    changesCatalog: true,
    params,
    body: changes,
    handle: async ({ params, body, actor }) => {
      const tenant = await catalog.findTenant(params.id as TenantId);
      if (tenant === undefined) return unknownTenant(params.id);
      const changed = await ledger.changeLimits(tenant.id, limitChanges(body));
      if (changed.kind === 'unknown_tenant') return unknownTenant(params.id);
      await project(dependencies, changed.projection);
      await catalog.recordAudit({
        actor,
        action: 'tenant.change_limits',
        subject: tenant.id,
        detail: writeAmounts(body),
      });
      return ok(await withQuota(dependencies, tenant));
    },
  });
}

/** A tenant with its quota, as the ledger has it now. */
export async function withQuota({ ledger, clock }: AdminDependencies, tenant: Tenant): Promise<Json> {
  const snapshot = await ledger.snapshot(tenant.id);
  if (snapshot.kind === 'snapshot') return tenantJson(tenant, snapshot, clock.now());
  throw new Fault('INTERNAL', `tenant ${tenant.id} has no quota`);
}

function limitChanges(body: z.output<typeof changes>): LimitChanges {
  const { credit_limit, daily_quota, monthly_quota, rpm_limit, tpm_limit, rate_multiplier_ppm } = body;
  const { max_open_requests, block_on_insufficient, allow_negative, stream_allow_negative } = body;
  const { warning_thresholds } = body;
  return {
    ...(credit_limit === undefined ? {} : { creditLimit: credit_limit }),
    ...(daily_quota === undefined ? {} : { dailyQuota: daily_quota }),
    ...(monthly_quota === undefined ? {} : { monthlyQuota: monthly_quota }),
    ...(rpm_limit === undefined ? {} : { rpmLimit: rpm_limit }),
    ...(tpm_limit === undefined ? {} : { tpmLimit: tpm_limit }),
    ...(rate_multiplier_ppm === undefined ? {} : { rateMultiplierPpm: BigInt(rate_multiplier_ppm) }),
    ...(max_open_requests === undefined ? {} : { maxOpenRequests: max_open_requests }),
    ...(block_on_insufficient === undefined ? {} : { blockOnInsufficient: block_on_insufficient }),
    ...(allow_negative === undefined ? {} : { allowNegative: allow_negative }),
    ...(stream_allow_negative === undefined ? {} : { streamAllowNegative: stream_allow_negative }),
    ...(warning_thresholds === undefined ? {} : { warningThresholds: warning_thresholds }),
  };
}
