import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect } from 'vitest';
import type { TenantId } from '../../domain/ids.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import type { Transaction } from '../../domain/transaction.ts';
import type { Driver } from '../drivers/driver.ts';
import type { Ledger } from '../ledger.ts';
import { createSqlLedger } from '../sql-ledger.ts';
import { topUpFor } from './drafts.contract.ts';

/** The ledger that a contract is run against, on an engine of its own. */
export interface GivenLedger {
  readonly driver: Driver;
  readonly ledger: Ledger;
  newTenant(balance?: string, timeZone?: string): Promise<TenantId>;
  quotaOf(tenantId: TenantId): Promise<QuotaProjection>;
  /** Invariant 1: signed amounts sum to the balance, `seq` has no gap, and the chain of balances holds. */
  expectChain(tenantId: TenantId): Promise<void>;
}

/** One for all tests of a suite, each with tenants of its own. */
export function useLedger(open: () => Promise<Driver>): GivenLedger {
  let driver: Driver;
  let ledger: Ledger;

  beforeAll(async () => {
    driver = await open();
    ledger = createSqlLedger({ driver });
  });
  afterAll(async () => {
    await driver.close();
  });

  return {
    get driver() {
      return driver;
    },
    get ledger() {
      return ledger;
    },
    newTenant: async (balance = '100.00', timeZone = 'UTC') => {
      const tenantId = await addTenant(driver, timeZone);
      if (balance !== '0') await ledger.credit(topUpFor(tenantId, balance));
      return tenantId;
    },
    quotaOf: (tenantId) => quotaOf(ledger, tenantId),
    expectChain: (tenantId) => expectChain(ledger, tenantId),
  };
}

async function addTenant({ db }: Driver, timeZone: string): Promise<TenantId> {
  const tenantId = `tenant-${randomUUIDv7()}` as TenantId;
  await db.insertInto('tenant').values({ tenant_id: tenantId, name: 'test' }).execute();
  await db
    .insertInto('tenant_quota')
    .values({
      tenant_id: tenantId,
      currency: 'USD',
      time_zone: timeZone,
      daily_quota: 1000,
      monthly_quota: 30000,
    })
    .execute();
  return tenantId;
}

async function quotaOf(ledger: Ledger, tenantId: TenantId): Promise<QuotaProjection> {
  const snapshot = await ledger.snapshot(tenantId);
  if (snapshot.kind !== 'snapshot') throw new Error('no such tenant');
  return snapshot.projection;
}

/** Every row of the tenant, oldest first. */
async function historyOf(ledger: Ledger, tenantId: TenantId): Promise<Transaction[]> {
  return [...(await ledger.list({ tenantId, limit: 10_000 }))].reverse();
}

async function expectChain(ledger: Ledger, tenantId: TenantId): Promise<void> {
  const quota = await quotaOf(ledger, tenantId);
  const committed = (await historyOf(ledger, tenantId))
    .filter((transaction) => transaction.status === 'COMMITTED')
    .sort((a, b) => a.seq - b.seq);
  let balance = 0n;
  for (const [index, transaction] of committed.entries()) {
    expect(transaction.seq).toBe(index + 1);
    expect(transaction.balanceBefore).toBe(balance);
    balance += transaction.type === 'CHARGE' ? -transaction.amount : transaction.amount;
    expect(transaction.balanceAfter).toBe(balance);
  }
  expect(quota.balance).toBe(balance);
}
