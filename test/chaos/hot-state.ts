import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { TenantId } from '../../src/domain/ids.ts';
import { connectRedis } from '../../src/hot-state/redis/connect.ts';
import { createRedisHotState } from '../../src/hot-state/redis/redis.ts';
import { loadScripts } from '../../src/hot-state/redis/scripts.ts';
import { openPostgres } from '../../src/ledger/drivers/postgres.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import { nowMs } from './exchange.ts';
import type { Finding } from './records.ts';
import type { Stage } from './stage.ts';
import type { Tenant } from './world.ts';

const agreesWithinMs = 20_000;
const looksEveryMs = 250;

/** Once nothing is open, hot state holds nothing and is what the ledger says. */
export async function compareHotState(stage: Stage, tenants: readonly Tenant[]): Promise<readonly Finding[]> {
  await using undo = new AsyncDisposableStack();
  const driver = await openPostgres({ url: stage.databaseUrl });
  undo.defer(() => driver.close());
  const address = { kind: 'single', url: stage.redis.url } as const;
  const client = await connectRedis({ address, onError: () => undefined });
  undo.defer(() => client.disconnect());
  const hotState = createRedisHotState({ run: await loadScripts(client), onFault: () => undefined });
  const ledger = createSqlLedger({ driver });

  async function differenceOf(tenantId: TenantId): Promise<string | null> {
    const snapshot = await ledger.snapshot(tenantId);
    if (snapshot.kind !== 'snapshot') return 'the ledger does not know it';
    const wanted = { projection: snapshot.projection, held: 0n, openHolds: 0 };
    const looked = await hotState.look(tenantId);
    if (isDeepStrictEqual(looked, wanted)) return null;
    return `hot state has ${written(looked)}, and the ledger ${written(wanted)}`;
  }

  const findings: Finding[] = [];
  for (const { id } of tenants) {
    const untilMs = nowMs() + agreesWithinMs;
    let difference = await differenceOf(id as TenantId);
    while (difference !== null && nowMs() < untilMs) {
      await sleep(looksEveryMs);
      difference = await differenceOf(id as TenantId);
    }
    if (difference === null) continue;
    findings.push({ kind: 'unexplained', what: difference, tenantId: id, asked: null, row: null });
  }
  return findings;
}

function written(value: unknown): string {
  return JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? `${member}` : member));
}
