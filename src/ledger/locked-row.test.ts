import { randomUUIDv7 } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestDatabase } from '../../test/support/services/postgres.ts';
import { newDatabase } from '../../test/support/template.ts';
import { hashRequest, type TenantId, type TraceId, type TransactionId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import type { Driver } from './drivers/driver.ts';
import { openPostgres } from './drivers/postgres.ts';
import type { Ledger } from './ledger.ts';
import { createSqlLedger } from './sql-ledger.ts';

const tenants = ['a', 'b', 'c'].map((name) => name as TenantId);
const [locked, ...others] = tenants;

let database: TestDatabase;
let driver: Driver;
let ledger: Ledger;

beforeAll(async () => {
  database = await newDatabase();
  driver = await openPostgres({ url: database.url, lanes: 1 });
  ledger = createSqlLedger({ driver });
  for (const tenant_id of tenants) {
    await driver.db.insertInto('tenant').values({ tenant_id, name: 'test' }).execute();
    await driver.db
      .insertInto('tenant_quota')
      .values({ tenant_id, currency: 'USD', time_zone: 'UTC' })
      .execute();
  }
});

afterAll(async () => {
  await driver.close();
  await database.remove();
});

async function credit(tenantId: TenantId, traceId: TraceId): Promise<string> {
  const answer = ledger.credit({
    id: randomUUIDv7() as string as TransactionId,
    requestHash: hashRequest(traceId),
    tenantId,
    traceId,
    type: 'TOPUP',
    amount: parseAmount('1'),
    description: null,
  });
  return await answer.then(
    ({ kind }) => kind,
    (error) => error.code,
  );
}

it('serves the other tenants of a lane while somebody keeps the row of one locked', async () => {
  const person = new Client({ connectionString: database.url });
  await person.connect();
  await person.query(`BEGIN; SELECT * FROM tenant_quota WHERE tenant_id = '${locked}' FOR UPDATE`);
  const trace = 'held up' as TraceId;
  const told = await Promise.all([
    // Alone in the first batch, so that the rest gathers behind it.
    credit(others[0]!, 'first' as TraceId),
    credit(locked!, trace),
    credit(locked!, 'another' as TraceId),
    ...others.map((tenantId) => credit(tenantId, trace)),
  ]);
  expect(told).toEqual(['posted', 'LEDGER_UNAVAILABLE', 'LEDGER_UNAVAILABLE', 'posted', 'posted']);
  await person.query('ROLLBACK');
  await person.end();
  expect(await credit(locked!, trace)).toBe('posted');
});
