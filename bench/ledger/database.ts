import { randomUUIDv7 } from 'node:crypto';
import { Client } from 'pg';
import { hashRequest, type TraceId, type TransactionId } from '../../src/domain/ids.ts';
import { formatAmount, nano, parseAmount } from '../../src/domain/money.ts';
import { openMigratedDriver } from '../../src/ledger/drivers/open-driver.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import { charge, hotTenant, newDeduction } from './work.ts';

const topUp = parseAmount('1000000');

/** Rows that are there when plans are made: enough that reading them from end to end never looks cheap. */
const earlierDeductions = 5_000;

/** A ledger with one tenant, who has money. @returns how often the tenant was charged already */
export async function prepareLedger(url: string): Promise<number> {
  const driver = await openMigratedDriver({ databaseUrl: url, dataDir: '' });
  try {
    await driver.db.insertInto('tenant').values({ tenant_id: hotTenant, name: 'hot' }).execute();
    const quota = { tenant_id: hotTenant, currency: 'USD', time_zone: 'UTC' };
    await driver.db.insertInto('tenant_quota').values(quota).execute();
    const ledger = createSqlLedger({ driver });
    const traceId = 'top-up' as TraceId;
    await ledger.credit({
      id: randomUUIDv7() as string as TransactionId,
      tenantId: hotTenant,
      traceId,
      requestHash: hashRequest(traceId),
      type: 'TOPUP',
      amount: topUp,
      description: null,
    });
    await Promise.all(Array.from({ length: earlierDeductions }, () => ledger.deduct(newDeduction())));
    return earlierDeductions;
  } finally {
    await driver.close();
  }
}

/** One value a question. */
async function ask<Row>(url: string, text: string, values: readonly unknown[] = []): Promise<Row> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text, values: [...values] });
    return rows[0] as Row;
  } finally {
    await client.end();
  }
}

/** So that a plan which Postgres keeps is made for a table with rows in it. */
export const gatherStatistics = (url: string): Promise<unknown> => ask(url, 'VACUUM ANALYZE');

export interface ServerSettings {
  readonly version: string;
  readonly fsync: string;
  readonly synchronous_commit: string;
  readonly wal_sync_method: string;
}

export const settingsOf = (url: string): Promise<ServerSettings> =>
  ask(
    url,
    `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('wal_sync_method') AS wal_sync_method`,
  );

interface Found {
  readonly balance: string;
  readonly last_seq: string;
  readonly committed: string;
  readonly sequence_numbers: string;
  readonly first_seq: string;
  readonly newest_seq: string;
  readonly open: string;
  readonly broken_links: string;
}

/** What is in SQL, in one statement of one moment, against what was answered as committed. */
export async function verify(url: string, charges: number): Promise<readonly string[]> {
  const found = await ask<Found>(
    url,
    `SELECT q.balance, q.last_seq,
       count(*) FILTER (WHERE status = 'COMMITTED') AS committed,
       count(DISTINCT seq) AS sequence_numbers, min(seq) AS first_seq, max(seq) AS newest_seq,
       count(*) FILTER (WHERE status <> 'COMMITTED') AS open,
       count(*) FILTER (WHERE balance_before IS DISTINCT FROM before) AS broken_links
     FROM (
       SELECT status, seq, balance_before,
         coalesce(lag(balance_after) OVER (PARTITION BY seq IS NULL ORDER BY seq), 0) AS before
       FROM billing_transaction WHERE tenant_id = $1
     ) b, tenant_quota q
     WHERE q.tenant_id = $1
     GROUP BY q.tenant_id`,
    [hotTenant],
  );
  const rows = String(charges + 1);
  const expected: Found = {
    balance: formatAmount(nano(topUp - BigInt(charges) * charge)),
    last_seq: rows,
    committed: rows,
    sequence_numbers: rows,
    first_seq: '1',
    newest_seq: rows,
    open: '0',
    broken_links: '0',
  };
  const actual = { ...found, balance: formatAmount(parseAmount(found.balance)) };
  return Object.keys(expected).flatMap((name) => {
    const [is, shouldBe] = [actual[name as keyof Found], expected[name as keyof Found]];
    return is === shouldBe ? [] : [`${name} is ${is} in SQL and should be ${shouldBe}`];
  });
}
