import { randomUUIDv7 } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestDatabase } from '../../test/support/services/postgres.ts';
import { newDatabase } from '../../test/support/template.ts';
import {
  type ApiKeyId,
  hashRequest,
  type InstanceId,
  type TenantId,
  type TraceId,
  type TransactionId,
} from '../domain/ids.ts';
import { formatAmount, parseAmount, parseRate } from '../domain/money.ts';
import type { Driver, SqlError } from './drivers/driver.ts';
import { openPostgres } from './drivers/postgres.ts';
import type { Commit, Deduction, Ledger, PendingDraft } from './ledger.ts';
import { createSqlLedger } from './sql-ledger.ts';

// The embedded engine has one connection, which can't show a race: here each of several ledgers has a
// pool of its own, as several processes have.

const processes = 4;
const tenants = ['a', 'b', 'c'] as readonly string[] as readonly TenantId[];
const rates = { input: parseRate('0.001', 1000) };
const at = '2026-11-23';

let database: TestDatabase;
let drivers: Driver[];
let ledgers: Ledger[];

beforeAll(async () => {
  database = await newDatabase();
  drivers = await Promise.all(Array.from({ length: processes }, () => openPostgres({ url: database.url })));
  // Small batches: while one process writes some of a tenant's rows, the others write its other ones.
  ledgers = drivers.map((driver) => createSqlLedger({ driver, maxBatch: 7 }));
  for (const tenant_id of tenants) {
    await drivers[0]!.db.insertInto('tenant').values({ tenant_id, name: 'test' }).execute();
    const quota = { tenant_id, currency: 'USD', time_zone: 'UTC' };
    await drivers[0]!.db.insertInto('tenant_quota').values(quota).execute();
  }
});
afterAll(async () => {
  for (const driver of drivers) await driver.close();
  await database.remove();
});

/** Every ledger does it in an order of its own, all at the same time; the kinds of their answers by item. */
async function everywhere<Item>(
  items: readonly Item[],
  act: (ledger: Ledger, item: Item) => Promise<{ readonly kind: string }>,
): Promise<readonly (readonly string[])[]> {
  const answers = await Promise.all(
    ledgers.map(async (ledger, shift) => {
      const shifted = items.map((_, index) => (index * 7 + shift * 13) % items.length);
      const kinds = new Map<number, string>();
      await Promise.all(
        shifted.map(async (index) => kinds.set(index, (await act(ledger, items[index]!)).kind)),
      );
      return kinds;
    }),
  );
  return items.map((_, index) => answers.map((kinds) => kinds.get(index)!).sort());
}

const times = (count: number, kind: string) => Array<string>(count).fill(kind);

function drafts(count: number): readonly PendingDraft[] {
  return Array.from({ length: count }, (_, index) => {
    const traceId = randomUUIDv7() as string as TraceId;
    return {
      id: randomUUIDv7() as string as TransactionId,
      tenantId: tenants[index % tenants.length]!,
      apiKeyId: 'key-1' as ApiKeyId,
      traceId,
      requestHash: hashRequest(traceId),
      holdAmount: parseAmount('1'),
      holdTokens: 0,
      currency: 'USD',
      provider: 'sim',
      model: 'sim-small',
      rates: { rates },
      multiplierPpm: 1_000_000n,
      inputPrice: null,
      outputPrice: null,
      periodDay: at,
      ttlMs: 60_000,
      owner: 'instance' as InstanceId,
    };
  });
}

function commitOf(draft: PendingDraft): Commit {
  return {
    tenantId: draft.tenantId,
    traceId: draft.traceId,
    transactionId: draft.id,
    amount: parseAmount('0.000000001'),
    metered: { usage: { input: 1 }, method: 'usage' },
    costAmount: null,
    provider: null,
    rates,
    receipt: {
      lines: [],
      aboveInputTokens: null,
      serviceTier: null,
      serviceTierIsPriced: true,
      statedCost: null,
      reported: null,
    },
    record: {
      outcome: 'completed',
      stream: false,
      streamCompleted: null,
      streamError: null,
      finishReason: 'stop',
      latencyMs: 1,
      timeToFirstByteMs: 1,
    },
  };
}

it('of several processes that write the same at once, one does, and every balance is a chain', async () => {
  const count = 300;
  const topUps = drafts(60).map(({ id, tenantId, traceId, requestHash }) => ({
    id,
    tenantId,
    traceId,
    requestHash,
    type: 'TOPUP' as const,
    amount: parseAmount('1'),
    description: null,
  }));
  for (const kinds of await everywhere(topUps, (ledger, topUp) => ledger.credit(topUp)))
    expect(kinds).toEqual([...times(processes - 1, 'duplicate'), 'posted']);

  const opened = drafts(count);
  // The same id everywhere: whoever finds the row that it meant to write takes it for its own.
  for (const kinds of await everywhere(opened, (ledger, draft) => ledger.createPending(draft)))
    expect(kinds).toEqual(times(processes, 'created'));
  // Another id each: one opens it, and the others are repeats.
  const raced = drafts(count);
  const racing = await everywhere(raced, (ledger, draft) =>
    ledger.createPending({ ...draft, id: randomUUIDv7() as string as TransactionId }),
  );
  for (const kinds of racing) expect(kinds).toEqual(['created', ...times(processes - 1, 'duplicate')]);

  const commits = opened.map(commitOf);
  for (const kinds of await everywhere(commits, (ledger, commit) => ledger.commitPending(commit)))
    expect(kinds).toEqual([...times(processes - 1, 'already_committed'), 'committed']);

  for (const [index, tenantId] of tenants.entries()) {
    const rows = await drivers[0]!.query<{ seq: string; holds: boolean; balance_after: string }>(
      `SELECT seq, balance_after, balance_before = coalesce(lag(balance_after) OVER (ORDER BY seq), 0) AS holds
       FROM billing_transaction WHERE tenant_id = $1 AND status = 'COMMITTED' ORDER BY seq`,
      [tenantId],
    );
    const charges = opened.filter((draft) => draft.tenantId === tenantId).length;
    expect(rows.map(({ seq }) => Number(seq))).toEqual(Array.from({ length: 20 + charges }, (_, i) => i + 1));
    expect(rows.every(({ holds }) => holds)).toBe(true);
    const snapshot = await ledgers[index]!.snapshot(tenantId);
    if (snapshot.kind !== 'snapshot') throw new Error('the tenant is not there');
    const balance = parseAmount('20') - BigInt(charges);
    expect(formatAmount(snapshot.projection.balance)).toBe(
      formatAmount(balance as typeof snapshot.projection.balance),
    );
    expect(snapshot.projection).toMatchObject({ dailyUsed: charges, monthlyUsed: charges });
  }
});

/** One lane, so that all of a test is one batch; and of every statement its size and how it ended. */
async function openRecorded() {
  const driver = await openPostgres({ url: database.url, lanes: 1, statementTimeoutMs: 60_000 });
  const statements: string[] = [];
  const queryByKeys = async <Row>(statement: string, parameters: readonly unknown[]) => {
    const { length } = parameters[0] as readonly unknown[];
    try {
      const rows = await driver.queryByKeys<Row>(statement, parameters);
      statements.push(`${length} written`);
      return rows;
    } catch (error) {
      statements.push(`${length} refused: ${(error as SqlError).sqlState}`);
      throw error;
    }
  };
  return { driver, statements, ledger: createSqlLedger({ driver: { ...driver, queryByKeys } }) };
}

/** Another process in a transaction, who is never the one that a deadlock is ended at. */
async function rival() {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query(`SET deadlock_timeout = '10min'; BEGIN`);
  return {
    take: (tenantId: TenantId, change = 'updated_at = now()') =>
      client.query(`UPDATE tenant_quota SET ${change} WHERE tenant_id = $1`, [tenantId]),
    commit: () => client.query('COMMIT'),
    end: () => client.end(),
  };
}

const waitUntilBlocked = (count: number) =>
  expect
    .poll(
      async () => {
        const [row] = await drivers[0]!.query<{ blocked: number }>(
          `SELECT count(*)::int AS blocked FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          [],
        );
        return row?.blocked;
      },
      { timeout: 30_000 },
    )
    .toBe(count);

function deductionOf(tenantId: TenantId): Deduction {
  const traceId = randomUUIDv7() as string as TraceId;
  return {
    id: randomUUIDv7() as string as TransactionId,
    tenantId,
    apiKeyId: null,
    traceId,
    requestHash: hashRequest(traceId),
    amount: parseAmount('0.5'),
    metered: null,
    model: null,
    periodDay: at,
    description: null,
  };
}

it('a batch that Postgres ends for a deadlock is written all the same, once', async () => {
  const { driver, statements, ledger } = await openRecorded();
  const [gate, other] = [await rival(), await rival()];
  try {
    await gate.take(tenants[1]!);
    await other.take(tenants[2]!);
    const answers = Promise.all(tenants.map((tenantId) => ledger.deduct(deductionOf(tenantId))));
    // The batch has the first tenant and waits for the second.
    await waitUntilBlocked(1);
    const crossed = other.take(tenants[0]!);
    await waitUntilBlocked(2);
    // Now it waits for the third, whose holder waits for it: whoever waits last, and looks first, is ended.
    await gate.commit();
    await crossed;
    await other.commit();
    expect((await answers).map(({ kind }) => kind)).toEqual(times(3, 'posted'));
    // A retry that is quicker than the other's awakening takes the first tenant again, and is ended again.
    expect([...new Set(statements)]).toEqual(['3 refused: 40P01', '3 written']);
  } finally {
    await gate.end();
    await other.end();
    await driver.close();
  }
});

it('a batch that can not be serialized is written again, and once', async () => {
  const { driver, statements, ledger } = await openRecorded();
  const other = await rival();
  try {
    // One after the other they have the pool's one connection; its operator's default is stricter now.
    await driver.queryByKeys(`SET default_transaction_isolation = 'repeatable read'`, []);
    await other.take(tenants[0]!);
    const deductions = [tenants[0]!, tenants[0]!].map(deductionOf);
    const answers = Promise.all(deductions.map((deduction) => ledger.deduct(deduction)));
    await waitUntilBlocked(1);
    await other.commit();
    const [first, second] = await answers;
    if (first?.kind !== 'posted' || second?.kind !== 'posted') throw new Error('not posted');
    expect(second.seq).toBe(first.seq + 1);
    expect(statements).toEqual(['2 refused: 40001', '2 written']);
  } finally {
    await other.end();
    await driver.close();
  }
});

it('a batch that waited for a tenant adds to what the tenant has become, and warns by that', async () => {
  const { driver, ledger } = await openRecorded();
  const other = await rival();
  const tenantId = 'late' as TenantId;
  try {
    await driver.db.insertInto('tenant').values({ tenant_id: tenantId, name: 'test' }).execute();
    const quota = { tenant_id: tenantId, currency: 'USD', time_zone: 'UTC', balance: '100' };
    await driver.db.insertInto('tenant_quota').values(quota).execute();
    const become = [
      `daily_period = '${at}'`,
      'daily_used = 4',
      'daily_quota = 10',
      'balance = 30',
      'last_seq = 7',
    ];
    await other.take(tenantId, [...become, `warning_thresholds = '{50}'`, 'warning_base = 60'].join(', '));
    const deducting = ledger.deduct(deductionOf(tenantId));
    await waitUntilBlocked(1);
    await other.commit();
    const deducted = await deducting;
    if (deducted.kind !== 'posted') throw new Error(`it was ${deducted.kind}`);
    expect(deducted).toMatchObject({ seq: 8, projection: { dailyUsed: 5, monthlyUsed: 1 } });
    expect(formatAmount(deducted.projection.balance)).toBe('29.5');
    const warned = await driver.db
      .selectFrom('outbox')
      .select(['type', 'data'])
      .where('tenant_id', '=', tenantId);
    // Of the day 60 % were left, and of the money just 50 %, which whoever has changed it had to warn of.
    expect(await warned.execute()).toEqual([
      { type: 'quota.low', data: expect.objectContaining({ left: '5', of: '10', period: at }) },
    ]);
  } finally {
    await other.end();
    await driver.close();
  }
});
