import { waitUntil } from '../../test/support/services/wait-until.ts';
import { ask } from '../ledger/database.ts';

const settledWithinMs = 30_000;

/** Those that were under way when the load ended are being charged still. */
async function untilSettled(url: string): Promise<void> {
  const isSo = async () => {
    const { settled } = await ask<{ readonly settled: boolean }>(
      url,
      "SELECT NOT EXISTS (SELECT FROM billing_transaction WHERE status = 'PENDING') AS settled",
    );
    return settled;
  };
  await waitUntil({ what: 'no transaction is open', isSo, withinMs: settledWithinMs });
}

export async function databaseBytes(url: string): Promise<number> {
  const { bytes } = await ask<{ readonly bytes: string }>(
    url,
    'SELECT pg_database_size(current_database())::text AS bytes',
  );
  return Number(bytes);
}

/** Of these tenants, what was there before and what came to it: gapless, unbroken, and nothing open. */
export async function verifyChains(url: string, tenants: readonly string[]): Promise<readonly string[]> {
  await untilSettled(url);
  const { checked, wrong } = await ask<{ readonly checked: string; readonly wrong: string }>(
    url,
    `SELECT count(*) AS checked, count(*) FILTER (WHERE NOT (
       q.last_seq = committed AND broken_links = 0 AND is_open = 0 AND q.balance = balance_after
     )) AS wrong
     FROM (
       SELECT tenant_id, count(*) FILTER (WHERE status = 'COMMITTED') AS committed,
         count(*) FILTER (WHERE status = 'PENDING') AS is_open,
         count(*) FILTER (WHERE status = 'COMMITTED' AND (
           balance_before IS DISTINCT FROM before_it OR seq IS DISTINCT FROM number
         )) AS broken_links,
         coalesce((array_agg(balance_after ORDER BY seq DESC) FILTER (WHERE seq IS NOT NULL))[1], 0) AS balance_after
       FROM (
         SELECT tenant_id, status, seq, balance_before, balance_after,
           row_number() OVER (PARTITION BY tenant_id, seq IS NULL ORDER BY seq) AS number,
           coalesce(lag(balance_after) OVER (PARTITION BY tenant_id, seq IS NULL ORDER BY seq), 0) AS before_it
         FROM billing_transaction WHERE tenant_id = ANY ($1::text[])
       ) b
       GROUP BY tenant_id
     ) t
     JOIN tenant_quota q USING (tenant_id)`,
    [tenants],
  );
  if (checked === '0') return ['no tenant was there to be checked'];
  return wrong === '0' ? [] : [`${wrong} of ${checked} tenants are wrong in SQL`];
}
