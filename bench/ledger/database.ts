import { randomUUIDv7 } from 'node:crypto';
import { Client } from 'pg';
import { hashRequest, type TenantId, type TraceId, type TransactionId } from '../../src/domain/ids.ts';
import { formatAmount, nano, parseAmount } from '../../src/domain/money.ts';
import type { Driver } from '../../src/ledger/drivers/driver.ts';
import { openMigratedDriver } from '../../src/ledger/drivers/open-driver.ts';
import type { TopUp } from '../../src/ledger/ledger.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import { charge, hotTenant, newDeduction } from './work.ts';

const topUp = parseAmount('1000000');

/** Rows that are there when plans are made: enough that reading them from end to end never looks cheap. */
const earlierDeductions = 5_000;
const addedAtOnce = 1_000;

/** A ledger with tenants who have money. @returns how often the hot one was charged already */
export async function prepareLedger(url: string, tenants: readonly TenantId[]): Promise<number> {
  const driver = await openMigratedDriver({ databaseUrl: url, dataDir: '' });
  try {
    const ledger = createSqlLedger({ driver });
    for (let from = 0; from < tenants.length; from += addedAtOnce) {
      const some = tenants.slice(from, from + addedAtOnce);
      await addTenants(driver, some);
      await Promise.all(some.map((tenantId) => ledger.credit(topUpOf(tenantId))));
    }
    await Promise.all(Array.from({ length: earlierDeductions }, () => ledger.deduct(newDeduction())));
    return earlierDeductions;
  } finally {
    await driver.close();
  }
}

async function addTenants({ db }: Driver, tenants: readonly TenantId[]): Promise<void> {
  const named = tenants.map((tenant_id) => ({ tenant_id, name: tenant_id }));
  await db.insertInto('tenant').values(named).execute();
  const quotas = tenants.map((tenant_id) => ({ tenant_id, currency: 'USD', time_zone: 'UTC' }));
  await db.insertInto('tenant_quota').values(quotas).execute();
}

function topUpOf(tenantId: TenantId): TopUp {
  const traceId = 'top-up' as TraceId;
  return {
    id: randomUUIDv7() as string as TransactionId,
    tenantId,
    traceId,
    requestHash: hashRequest(traceId),
    type: 'TOPUP',
    amount: topUp,
    description: null,
  };
}

/** One row a question. */
export async function ask<Row>(url: string, text: string, values: readonly unknown[] = []): Promise<Row> {
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

/** What is in SQL of the hot tenant, in one statement of one moment, against what was answered as committed. */
export async function verifyHot(url: string, charges: number): Promise<readonly string[]> {
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

interface FoundSpread {
  readonly charges: string;
  readonly wrong: string;
}

/** The same of all others: each with its own sum, sequence and chain, and all charges among them. */
export async function verifySpread(url: string, charges: number): Promise<readonly string[]> {
  const found = await ask<FoundSpread>(
    url,
    `SELECT coalesce(sum(committed - 1), 0) AS charges,
       count(*) FILTER (WHERE NOT (
         q.last_seq = committed AND sequence_numbers = committed AND newest_seq = committed
         AND is_open = 0 AND broken_links = 0 AND q.balance = $2::numeric - (committed - 1) * $3::numeric
       )) AS wrong
     FROM (
       SELECT tenant_id,
         count(*) FILTER (WHERE status = 'COMMITTED') AS committed,
         count(DISTINCT seq) AS sequence_numbers, max(seq) AS newest_seq,
         count(*) FILTER (WHERE status <> 'COMMITTED') AS is_open,
         count(*) FILTER (WHERE balance_before IS DISTINCT FROM before) AS broken_links
       FROM (
         SELECT tenant_id, status, seq, balance_before,
           coalesce(lag(balance_after) OVER (PARTITION BY tenant_id, seq IS NULL ORDER BY seq), 0) AS before
         FROM billing_transaction WHERE tenant_id <> $1
       ) b
       GROUP BY tenant_id
     ) t
     JOIN tenant_quota q USING (tenant_id)`,
    [hotTenant, formatAmount(topUp), formatAmount(charge)],
  );
  return [
    ...(found.wrong === '0' ? [] : [`${found.wrong} of the tenants are wrong in SQL`]),
    ...(found.charges === String(charges)
      ? []
      : [`${found.charges} charges of all tenants are in SQL and ${charges} were answered`]),
  ];
}
