import type { ApiKeyId, InstanceId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { type CheckpointJson, decodeCheckpoint } from './checkpoint-json.ts';
import type { Driver } from './drivers/driver.ts';
import type { Instances, Orphan } from './instances.ts';
import { readInstanceStatements } from './sql/statements.ts';

interface InstanceRow {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly place: string | null;
  readonly beat: string;
  readonly ended: boolean;
}

interface OrphanRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly api_key_id: string;
  readonly trace_id: string;
  readonly owner: string;
  readonly checkpoint: CheckpointJson | null;
  readonly open_ms: number;
}

/** The gateway processes on any SQL engine that has a driver. */
export function createSqlInstances(driver: Pick<Driver, 'query'>): Instances {
  const statements = readInstanceStatements();
  return {
    beat: async ({ id, host, pid, place }) => {
      const rows = await driver.query(statements.beat, [id, host, pid, place]);
      return rows.length === 0 ? 'ended' : 'alive';
    },
    unsettled: async () => {
      const rows = await driver.query<InstanceRow>(statements.unsettledInstances, []);
      return rows.map(({ id, ended, ...row }) => ({ ...row, id: id as InstanceId, hasEnded: ended }));
    },
    end: async (id, beat) => (await driver.query(statements.endInstance, [id, beat])).length > 0,
    orphans: async ({ owners, expired, allBut, after, limit }) => {
      const rows = await driver.query<OrphanRow>(statements.orphans, [
        owners,
        expired?.forMs ?? null,
        expired?.self ?? null,
        allBut,
        after?.tenantId ?? null,
        after?.transactionId ?? null,
        limit,
      ]);
      return rows.map(decodeOrphan);
    },
    markSettled: async (afterMs) => {
      await driver.query(statements.settleInstances, [afterMs]);
    },
  };
}

function decodeOrphan(row: OrphanRow): Orphan {
  return {
    tenantId: row.tenant_id as TenantId,
    transactionId: row.id as TransactionId,
    apiKeyId: row.api_key_id as ApiKeyId,
    traceId: row.trace_id as TraceId,
    owner: row.owner as InstanceId,
    openMs: row.open_ms,
    checkpoint: row.checkpoint === null ? 'nothing' : readable(row.checkpoint),
  };
}

/** One that can't be read is left alone, and keeps nobody from the others. */
function readable(checkpoint: CheckpointJson): Orphan['checkpoint'] {
  try {
    return decodeCheckpoint(checkpoint) ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
