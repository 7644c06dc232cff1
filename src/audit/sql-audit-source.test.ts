import { randomUUIDv7 } from 'node:crypto';
import { CompiledQuery } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDatabase, newDataDir } from '../../test/support/template.ts';
import { type ApiKeyId, hashRequest, type TenantId, type TransactionId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import { commitOf, deductionFor, draftFor, topUpFor, voidOf } from '../ledger/contract/drafts.contract.ts';
import type { Driver } from '../ledger/drivers/driver.ts';
import { openPglite } from '../ledger/drivers/pglite.ts';
import { openPostgres } from '../ledger/drivers/postgres.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createSqlLedger } from '../ledger/sql-ledger.ts';
import { auditLedger, type LedgerDifference } from './audit.ts';
import { createSqlAuditSource } from './sql-audit-source.ts';

interface Opened {
  readonly driver: Driver;
  readonly remove: () => Promise<void>;
}

async function onPostgres(): Promise<Opened> {
  const database = await newDatabase();
  return { driver: await openPostgres({ url: database.url }), remove: () => database.remove() };
}

async function onPglite(): Promise<Opened> {
  const dataDir = await newDataDir();
  return { driver: await openPglite(dataDir.path), remove: () => dataDir.remove() };
}

/** What a charge of 100 and 200 tokens at the rates of the drafts comes to. */
const price = '0.0005';

/** A tenant with one row of each kind, and where they are. */
interface Story {
  readonly tenantId: TenantId;
  readonly first: TransactionId;
  readonly second: TransactionId;
  readonly undone: TransactionId;
  readonly refund: TransactionId;
  readonly deduction: TransactionId;
  readonly voided: TransactionId;
  readonly open: TransactionId;
}

/** Statements with {} for the tenant and $name for a transaction of the story, and what they make the audit say. */
interface Planted {
  readonly name: string;
  readonly statements: (story: Story) => readonly string[];
  /** "of: what is found, should be expected", with a story's name for `of`. */
  readonly told: readonly string[];
}

const of = ({ tenantId }: Story, id: TransactionId) => `tenant_id = '${tenantId}' AND id = '${id}'`;
const setRow = (story: Story, id: TransactionId, set: string) =>
  `UPDATE billing_transaction SET ${set} WHERE ${of(story, id)}`;
const setQuota = ({ tenantId }: Story, set: string) =>
  `UPDATE tenant_quota SET ${set} WHERE tenant_id = '${tenantId}'`;

const planted: readonly Planted[] = [
  {
    name: 'a balance that nobody posted',
    statements: (story) => [setQuota(story, 'balance = balance + 1')],
    told: ['tenant: balance is 10.998500000, should be 9.998500000'],
  },
  {
    name: 'a last sequence number that no row has',
    statements: (story) => [setQuota(story, 'last_seq = 9')],
    told: ['tenant: last_seq is 9, should be 6'],
  },
  {
    name: 'a row that was removed',
    statements: (story) => [`DELETE FROM billing_transaction WHERE ${of(story, story.second)}`],
    told: [
      'tenant: balance is 9.998500000, should be 9.999000000',
      'tenant: last_seq is 6, should be 5',
      'undone: seq is 4, should be 3',
      'undone: balance_before is 9.999000000, should be 9.999500000',
      'second: row is nothing, should be the one of its usage record',
      'tenant: daily_used is 4, should be 3 at the most',
      'tenant: monthly_used is 4, should be 3 at the most',
      'tenant: used_quota of API key key-1, amount monthly is 0.001500000, should be 0.001000000 at the most',
      'tenant: used_quota of API key key-1, requests never is 3.000000000, should be 2 at the most',
      'tenant: used_quota of API key key-1, tokens daily is 900.000000000, should be 600 at the most',
    ],
  },
  {
    name: 'an amount that was changed',
    statements: (story) => [
      setRow(story, story.first, 'amount = 0.0004, balance_after = balance_after + 0.0001'),
    ],
    told: [
      'tenant: balance is 9.998500000, should be 9.998600000',
      'second: balance_before is 9.999500000, should be 9.999600000',
      'first: amount by its receipt is 0.0004, should be 0.0005',
      'tenant: used_quota of API key key-1, amount monthly is 0.001500000, should be 0.001400000 at the most',
    ],
  },
  {
    name: 'a chain that was bent',
    statements: (story) => [
      setRow(story, story.second, 'balance_before = balance_before - 1, balance_after = balance_after - 1'),
    ],
    told: [
      'second: balance_before is 8.999500000, should be 9.999500000',
      'undone: balance_before is 9.999000000, should be 8.999000000',
    ],
  },
  {
    name: 'an effect that is not the amount',
    statements: (story) => [setRow(story, story.deduction, 'amount = 5')],
    told: [
      'tenant: balance is 9.998500000, should be 4.999000000',
      'deduction: balance_after is 9.998500000, should be 4.999000000',
    ],
  },
  {
    name: 'a charge that gives',
    statements: (story) => [
      setRow(story, story.deduction, 'amount = -1, balance_after = balance_before + 1'),
      setQuota(story, 'balance = balance + 1.0005'),
    ],
    told: ['deduction: amount is -1.000000000, should be zero or more'],
  },
  {
    name: 'a sequence number that was moved',
    statements: (story) => [setRow(story, story.deduction, 'seq = 8')],
    told: ['deduction: seq is 8, should be 6'],
  },
  {
    name: 'a committed row without a sequence number',
    statements: (story) => [setRow(story, story.deduction, 'seq = NULL')],
    told: ['deduction: seq is nothing, should be a number'],
  },
  {
    name: 'a void row with a place in the chain',
    statements: (story) => [
      setRow(story, story.voided, 'seq = 7, amount = 0, balance_before = 9.9985, balance_after = 9.9985'),
    ],
    told: ['voided: status is VOIDED, should be COMMITTED'],
  },
  {
    name: 'usage records that are gone',
    statements: (story) => [
      `DELETE FROM usage_record WHERE tenant_id = '${story.tenantId}' AND transaction_id IN ('${story.first}', '${story.voided}')`,
    ],
    told: [
      'first: usage_record is nothing, should be one of a closed request',
      'voided: usage_record is nothing, should be one of a closed request',
    ],
  },
  {
    name: 'a usage record of what is no closed request',
    statements: ({ tenantId, open }) => [
      `INSERT INTO usage_record (tenant_id, transaction_id, outcome, stream, latency_ms) VALUES ('${tenantId}', '${open}', 'completed', false, 1)`,
    ],
    told: ['open: usage_record is completed, should be none'],
  },
  {
    name: 'a receipt that was changed',
    statements: (story) => [
      setRow(story, story.second, `receipt = jsonb_set(receipt, '{lines,0,units}', '1100')`),
    ],
    told: ['second: amount by its receipt is 0.0005, should be 0.0015'],
  },
  {
    name: 'a multiplier that was changed',
    statements: (story) => [setRow(story, story.second, 'multiplier_ppm = 2000000')],
    told: ['second: amount by its receipt is 0.0005, should be 0.001'],
  },
  {
    name: 'a refund of another amount',
    statements: (story) => [
      setRow(story, story.refund, 'amount = 0.001, balance_after = balance_after + 0.0005'),
      setRow(story, story.deduction, 'amount = 0.001, balance_before = balance_before + 0.0005'),
    ],
    told: ['refund: amount is 0.001000000, should be 0.000500000, to undo undone'],
  },
  {
    name: 'a refund that undid nothing',
    statements: (story) => [setRow(story, story.undone, 'reversed_by = NULL')],
    told: ['refund: transactions that it undid is 0, should be 1'],
  },
  {
    name: 'a refund that undid two',
    statements: (story) => [setRow(story, story.first, `reversed_by = '${story.refund}'`)],
    told: ['refund: transactions that it undid is 2, should be 1'],
  },
  {
    name: 'a row that is undone by what is no refund',
    statements: (story) => [setRow(story, story.first, `reversed_by = '${story.second}'`)],
    told: ['first: reversed_by is second, should be a committed REFUND'],
  },
  {
    name: 'a void row that is undone',
    statements: (story) => [setRow(story, story.voided, `reversed_by = '${story.second}'`)],
    told: [
      'voided: reversed_by is second, should be a committed REFUND',
      'voided: reversed_by is second, should be nothing',
    ],
  },
  {
    name: 'counters that count more than there is',
    statements: (story) => [
      setQuota(story, 'daily_used = 5, monthly_used = 6'),
      `UPDATE api_key_quota SET used_quota = used_quota + 1 WHERE tenant_id = '${story.tenantId}'`,
    ],
    told: [
      'tenant: daily_used is 5, should be 4 at the most',
      'tenant: monthly_used is 6, should be 4 at the most',
      'tenant: used_quota of API key key-1, amount monthly is 1.001500000, should be 0.001500000 at the most',
      'tenant: used_quota of API key key-1, requests never is 4.000000000, should be 3 at the most',
      'tenant: used_quota of API key key-1, tokens daily is 901.000000000, should be 900 at the most',
    ],
  },
  {
    name: 'a row that is open for too long, with gateways there to close it',
    statements: (story) => [
      setRow(story, story.open, `expires_at = '2026-11-23T10:00:00Z'`),
      `INSERT INTO gateway_instance (id, host, pid, started_at, heartbeat_at) VALUES ('late', 'test', 1, '2026-11-23T09:00:00Z', '2026-11-23T10:10:01Z')`,
    ],
    told: ['open: status is PENDING, should be closed after 2026-11-23T10:00:00Z'],
  },
];

describe.each([
  ['Postgres', onPostgres],
  ['PGlite', onPglite],
] as const)('the audit of a ledger on %s', (_, open) => {
  let opened: Opened;
  let ledger: Ledger;

  beforeAll(async () => {
    opened = await open();
    ledger = createSqlLedger({ driver: opened.driver });
    // Neither triggers nor checks are in the way of what a test plants.
    for (const { name } of await opened.driver.query<{ name: string }>(
      `SELECT conname AS name FROM pg_constraint WHERE conrelid = 'billing_transaction'::regclass AND contype = 'c'`,
      [],
    ))
      await opened.driver.query(`ALTER TABLE billing_transaction DROP CONSTRAINT ${name}`, []);
  });
  afterAll(async () => {
    await opened.driver.close();
    await opened.remove();
  });

  async function newTenant(): Promise<TenantId> {
    const tenantId = `tenant-${randomUUIDv7()}` as TenantId;
    const { db } = opened.driver;
    await db.insertInto('tenant').values({ tenant_id: tenantId, name: 'test' }).execute();
    const quota = { tenant_id: tenantId, currency: 'USD', time_zone: 'UTC' };
    await db.insertInto('tenant_quota').values(quota).execute();
    return tenantId;
  }

  async function charged(tenantId: TenantId): Promise<TransactionId> {
    const draft = draftFor(tenantId);
    await ledger.createPending(draft);
    await ledger.commitPending(commitOf(draft, price));
    return draft.id;
  }

  async function newStory(): Promise<Story> {
    const tenantId = await newTenant();
    await ledger.credit(topUpFor(tenantId, '10'));
    await ledger.setApiKeyQuotas(tenantId, 'key-1' as ApiKeyId, [
      { quotaType: 'requests', resetPeriod: 'never', total: 100n },
      { quotaType: 'tokens', resetPeriod: 'daily', total: 100_000n },
      { quotaType: 'amount', resetPeriod: 'monthly', total: parseAmount('50') },
    ]);
    const [first, second, undone] = [
      await charged(tenantId),
      await charged(tenantId),
      await charged(tenantId),
    ];
    const refund = randomUUIDv7() as TransactionId;
    const reversal = { id: refund, tenantId, transactionId: undone, description: null };
    await ledger.reverse({ ...reversal, traceId: refund as never, requestHash: hashRequest(refund) });
    const deduction = { ...deductionFor(tenantId, price), apiKeyId: null };
    await ledger.deduct(deduction);
    const [voided, stillOpen] = [draftFor(tenantId), draftFor(tenantId)];
    await ledger.createPending(voided);
    await ledger.voidPending(voidOf(voided));
    await ledger.createPending(stillOpen);
    return {
      tenantId,
      first,
      second,
      undone,
      refund,
      deduction: deduction.id,
      voided: voided.id,
      open: stillOpen.id,
    };
  }

  async function audit(tenantId: TenantId | null, mostTold = 100) {
    const differences: LedgerDifference[] = [];
    const source = createSqlAuditSource({
      db: opened.driver.db,
      tenantsPerPage: 2,
      receiptsPerPage: 2,
      mostTold,
    });
    const result = await auditLedger(source, tenantId, (one) => differences.push(one));
    return { result, differences };
  }

  /** With the story's names in place of its ids. */
  function worded(
    story: Story,
    { tenantId, transactionId, what, found, expected }: LedgerDifference,
  ): string {
    expect(tenantId).toBe(story.tenantId);
    let text = `${transactionId ?? 'tenant'}: ${what} is ${found}, should be ${expected}`;
    for (const [name, id] of Object.entries(story)) if (name !== 'tenantId') text = text.replaceAll(id, name);
    return text;
  }

  it('finds nothing in what the ledger wrote, page by page', async () => {
    for (let count = 0; count < 5; count++) await newStory();
    await newTenant();
    expect(await audit(null)).toEqual({
      differences: [],
      result: { tenants: 6, transactions: 40, receipts: 15, differences: 0, isComplete: true },
    });
  });

  it.each(planted)('finds $name', async ({ statements, told }) => {
    const [story, other] = [await newStory(), await newStory()];
    await opened.driver.db.transaction().execute(async (trx) => {
      await trx.executeQuery(CompiledQuery.raw('SET LOCAL session_replication_role = replica'));
      for (const statement of statements(story)) await trx.executeQuery(CompiledQuery.raw(statement));
    });
    const { differences, result } = await audit(story.tenantId);
    expect(differences.map((one) => worded(story, one)).sort()).toEqual([...told].sort());
    expect(result).toMatchObject({ tenants: 1, differences: told.length, isComplete: true });
    expect((await audit(other.tenantId)).differences).toEqual([]);
  });

  it('passes over what is open for long while no gateway lived, or only a moment', async () => {
    const story = await newStory();
    await opened.driver.query(setRow(story, story.open, `expires_at = '2020-01-01T00:00:00Z'`), []);
    await opened.driver.query('DELETE FROM gateway_instance', []);
    await opened.driver.query(
      `INSERT INTO gateway_instance (id, host, pid, started_at, heartbeat_at) VALUES
        ('before', 'test', 1, '2019-01-01T00:00:00Z', '2020-01-01T00:09:00Z'),
        ('fresh', 'test', 1, '2020-01-02T00:00:00Z', '2020-01-02T00:09:00Z')`,
      [],
    );
    expect((await audit(story.tenantId)).differences).toEqual([]);
  });

  it('passes over counters that were reset', async () => {
    const { tenantId } = await newStory();
    const apiKeyQuotas = [
      { apiKeyId: 'key-1' as ApiKeyId, quotaType: 'tokens' as const, resetPeriod: 'daily' as const },
    ];
    await ledger.resetCounters(tenantId, { daily: true, monthly: true, apiKeyQuotas });
    expect((await audit(tenantId)).differences).toEqual([]);
  });

  it('says that there are more differences than it tells', async () => {
    const story = await newStory();
    const { tenantId } = story;
    await opened.driver.db.transaction().execute(async (trx) => {
      await trx.executeQuery(CompiledQuery.raw('SET LOCAL session_replication_role = replica'));
      await trx.executeQuery(CompiledQuery.raw(`DELETE FROM usage_record WHERE tenant_id = '${tenantId}'`));
    });
    const { result } = await audit(tenantId, 3);
    expect(result).toMatchObject({ differences: 3, isComplete: false });
  });

  it('knows no tenant that is not there', async () => {
    expect((await audit('nobody' as TenantId)).result).toMatchObject({ tenants: 0, transactions: 0 });
  });

  it('makes no false alarm while the ledger is written', async () => {
    const tenantIds = [await newTenant(), await newTenant(), await newTenant()];
    let isOver = false;
    const write = async (tenantId: TenantId) => {
      while (!isOver) {
        const [draft, voided] = [draftFor(tenantId), draftFor(tenantId)];
        await ledger.createPending(draft);
        await ledger.createPending(voided);
        await ledger.commitPending(commitOf(draft, price));
        await ledger.voidPending(voidOf(voided));
        const id = randomUUIDv7() as TransactionId;
        const reversal = { id, tenantId, transactionId: draft.id, description: null };
        await ledger.reverse({ ...reversal, traceId: id as never, requestHash: hashRequest(id) });
      }
    };
    const writing = Promise.all(tenantIds.flatMap((tenantId) => [write(tenantId), write(tenantId)]));
    try {
      for (let count = 0; count < 5; count++)
        for (const tenantId of tenantIds) expect((await audit(tenantId)).differences).toEqual([]);
    } finally {
      isOver = true;
      await writing;
    }
  });
});
