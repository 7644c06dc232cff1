import type { TenantId, TraceId, TransactionId } from '../../src/domain/ids.ts';
import type { UsageRecord } from '../../src/domain/transaction.ts';
import type { GatewayParts } from './gateway.ts';

/** How long past its expiry a row may still be open at the end: it was told by a clock that may have been ahead. */
export const graceMs = 160_000;

const sweepEveryMs = 20_000;
const abandoned: UsageRecord = {
  outcome: 'gateway_died',
  stream: false,
  streamCompleted: null,
  streamError: null,
  finishReason: null,
  latencyMs: 0,
  timeToFirstByteMs: null,
};

interface ExpiredRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly api_key_id: string;
  readonly trace_id: string;
}

/** What a process does besides requests, for as long as it lives. */
export function startJobs(parts: GatewayParts): void {
  const next = () => {
    parts.process.clock.after(sweepEveryMs, () => {
      voidExpired(parts).catch(() => undefined);
      next();
    });
  };
  next();
}

async function voidExpired({ driver, ledger, hotState }: GatewayParts): Promise<void> {
  const rows = await driver.query<ExpiredRow>(
    `SELECT tenant_id, id, api_key_id, trace_id FROM billing_transaction
     WHERE status = 'PENDING' AND expires_at < now() - interval '20 seconds' ORDER BY id`,
    [],
  );
  for (const row of rows) {
    const [tenantId, traceId] = [row.tenant_id as TenantId, row.trace_id as TraceId];
    const transactionId = row.id as TransactionId;
    await ledger.voidPending({ tenantId, traceId, transactionId, description: 'expired', record: abandoned });
    await hotState.release({ tenantId, traceId, holder: transactionId, apiKeyId: row.api_key_id as never });
  }
}
