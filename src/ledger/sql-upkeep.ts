import { type Kysely, sql } from 'kysely';
import type { TenantId } from '../domain/ids.ts';
import type { Schema } from './schema.ts';
import type { TenantPage, Upkeep } from './upkeep.ts';

/** So many rows a statement goes over at the most: with a million tenants none takes long. */
const tenantsPerPage = 5_000;

/** Longer than the pauses between looks, so that a change is looked at by several. */
const activeForMinutes = 5;

export function createSqlUpkeep(db: Kysely<Schema>, pageSize = tenantsPerPage): Upkeep {
  return {
    claimRun: async (job, everyMs) => {
      // A clock that was set back must not stop the job for as long.
      const { rows } = await sql`
        INSERT INTO job_run (name, started_at) VALUES (${job}, now())
        ON CONFLICT (name) DO UPDATE SET started_at = now()
        WHERE job_run.started_at > now()
          OR job_run.started_at <= now() - make_interval(secs => ${everyMs / 1000}::double precision)
        RETURNING name`.execute(db);
      return rows.length > 0;
    },
    tenants: async ({ after, which }) => {
      const { rows } = await sql<{ tenant_id: string; is_active: boolean }>`
        SELECT
          q.tenant_id,
          q.updated_at > now() - make_interval(mins => ${activeForMinutes}::integer) OR EXISTS (
            SELECT FROM billing_transaction b WHERE b.tenant_id = q.tenant_id AND b.status = 'PENDING'
          ) AS is_active
        FROM tenant_quota q
        WHERE ${after}::text IS NULL OR q.tenant_id > ${after}::text
        ORDER BY q.tenant_id
        LIMIT ${pageSize}`.execute(db);
      return pageOf(
        rows.map((row) => ({
          tenantId: row.tenant_id as TenantId,
          wanted: which === 'all' || row.is_active,
        })),
        pageSize,
      );
    },
  };
}

function pageOf(
  found: readonly { readonly tenantId: TenantId; readonly wanted: boolean }[],
  pageSize: number,
): TenantPage {
  const last = found.at(-1);
  return {
    tenantIds: found.flatMap(({ tenantId, wanted }) => (wanted ? [tenantId] : [])),
    next: last === undefined || found.length < pageSize ? null : last.tenantId,
  };
}
