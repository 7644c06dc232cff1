import { Client } from 'pg';
import { encodePriceList } from '../../src/domain/price-list-json.ts';
import { encodeReceipt } from '../../src/domain/receipt.ts';
import { openMigratedDriver } from '../../src/ledger/drivers/open-driver.ts';
import { commitOf, newDraft } from '../ledger/work.ts';

/**
 * In percent, how full pages are made: with 7 rows each, as many as a gateway's own have (1.05 to 1.25 KB of the table a
 * row). None has room for another, as for most of the time: of new rows a tenth goes to holes that vacuum found (ADR 29).
 * Made as full as the table allows, every page would have one, and every new row would go to a page of its own.
 */
const naturalFill = 55;

const fillfactorOfTransactions = `
  SELECT option_value AS fillfactor FROM pg_class, pg_options_to_table(reloptions)
  WHERE oid = 'billing_transaction'::regclass AND option_name = 'fillfactor'`;

export interface Filling {
  readonly tenants: number;
  readonly transactions: number;
}

/** The transactions that one statement writes: what it needs for it stays in memory. */
const atATime = 500_000;

/**
 * Fills an empty ledger by SQL with what the gateway would have written: every tenant with an API key and an equal
 * share of the transactions, each a charge that was opened, committed and recorded, in gapless sequences and unbroken
 * chains. Tenants have credit instead of a top-up, so that there may be fewer transactions than tenants.
 * @returns how long it took, in seconds
 */
export async function fillLedger(url: string, filling: Filling): Promise<number> {
  const driver = await openMigratedDriver({ databaseUrl: url, dataDir: '' });
  await driver.close();
  const client = new Client({ connectionString: url });
  await client.connect();
  const startedAtMs = performance.now();
  try {
    // The keys hold by the way the rows are made: looking each of them up takes most of the time otherwise.
    await client.query('SET session_replication_role = replica');
    await client.query(tenantRows, [filling.tenants, filling.transactions]);
    await client.query(quotaRows, [filling.tenants, filling.transactions]);
    await client.query(apiKeyRows, [filling.tenants]);
    const [kept] = (await client.query<{ fillfactor: string }>(fillfactorOfTransactions)).rows;
    await client.query(`ALTER TABLE billing_transaction SET (fillfactor = ${naturalFill})`);
    await writeTransactions(client, filling);
    await client.query(`ALTER TABLE billing_transaction SET (fillfactor = ${kept?.fillfactor})`);
    await client.query('VACUUM ANALYZE');
  } finally {
    await client.end();
  }
  return (performance.now() - startedAtMs) / 1_000;
}

async function writeTransactions(client: Client, { tenants, transactions }: Filling): Promise<void> {
  for (let from = 0; from < transactions; from += atATime) {
    const to = Math.min(from + atATime, transactions) - 1;
    await client.query(transactionRows, [from, to, tenants, transactions]);
    await client.query(usageRows, [from, to, tenants, transactions]);
    if (transactions > atATime) console.error(`${to + 1} of ${transactions} transactions are there`);
  }
}

/** The name of a tenant sorts as its number does, so that rows come in the order of the indexes. */
export const grownTenant = (index: number): string => `grown-${String(index).padStart(9, '0')}`;
export const grownApiKey = (index: number): string => `tg-bench-${index}`;

const tenantName = (index: string) => `'grown-' || lpad((${index})::text, 9, '0')`;

const tenantRows = `
  INSERT INTO tenant (tenant_id, name)
  SELECT ${tenantName('i')}, 'grown' FROM generate_series(0, $1::bigint - 1) i WHERE $2::bigint >= 0`;

/** How many transactions a tenant has: the first ones have one more where they don't share evenly. */
const shareOf = (index: string) =>
  `($2::bigint / $1::bigint + CASE WHEN ${index} < $2::bigint % $1::bigint THEN 1 ELSE 0 END)`;

const quotaRows = `
  INSERT INTO tenant_quota (tenant_id, balance, credit_limit, currency, time_zone, last_seq, version)
  SELECT ${tenantName('i')}, -0.0005 * ${shareOf('i')}, 1000000, 'USD', 'UTC', ${shareOf('i')}, 1 + ${shareOf('i')}
  FROM generate_series(0, $1::bigint - 1) i`;

const apiKeyRows = `
  INSERT INTO api_key (tenant_id, id, name, secret_hash, prefix)
  SELECT ${tenantName('i')}, 'key-' || i, 'grown', encode(sha256(('tg-bench-' || i)::bytea), 'hex'), 'tg-bench'
  FROM generate_series(0, $1::bigint - 1) i`;

/** By tenant and sequence number: number n of all is which one of whose. */
const numbered = `
  SELECT n, tenant, n - (tenant * base + least(tenant, rest)) + 1 AS seq,
    (substr(digits, 1, 8) || '-' || substr(digits, 9, 4) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id
  FROM (
    SELECT n, base, rest, lpad(to_hex(1700000000000 + n), 12, '0') AS digits,
      CASE WHEN n < (base + 1) * rest THEN n / (base + 1) ELSE rest + (n - (base + 1) * rest) / greatest(base, 1) END
        AS tenant
    FROM generate_series($1::bigint, $2::bigint) n,
      (SELECT $4::bigint / $3::bigint AS base, $4::bigint % $3::bigint AS rest) share
  ) shared`;

const draft = newDraft();
const rates = JSON.stringify(encodePriceList(draft.rates));
const { receipt: exampleReceipt } = commitOf(draft);
const receipt = JSON.stringify(exampleReceipt === null ? null : encodeReceipt(exampleReceipt));

const transactionRows = `
  INSERT INTO billing_transaction (
    tenant_id, id, api_key_id, trace_id, type, status, amount, currency, hold_amount, hold_tokens, input_tokens,
    output_tokens, usage, usage_method, input_price, output_price, rates, multiplier_ppm, seq, balance_before,
    balance_after, provider, model, request_hash, period_day, expires_at, owner, receipt, created_at, updated_at
  )
  SELECT
    ${tenantName('tenant')}, id, 'key-' || tenant, id::text, 'CHARGE', 'COMMITTED', 0.0005, 'USD', 0.0005, 300, 100,
    200, '{"input":100,"output":200,"requests":1}', 'usage', 1, 2, '${rates}', 1000000, seq, -0.0005 * (seq - 1),
    -0.0005 * seq, 'sim', 'bench', encode(sha256(id::text::bytea), 'hex'), current_date - 1, now() - interval '1 day',
    'gone', '${receipt}', now() - interval '1 day', now() - interval '1 day'
  FROM (${numbered}) row`;

const usageRows = `
  INSERT INTO usage_record (
    tenant_id, transaction_id, outcome, stream, finish_reason, latency_ms, time_to_first_byte_ms, created_at
  )
  SELECT ${tenantName('tenant')}, id, 'completed', false, 'stop', 12.5, 3.25, now() - interval '1 day'
  FROM (${numbered}) row`;
