import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestDatabase } from '../../test/support/services/postgres.ts';
import { newDatabase } from '../../test/support/template.ts';
import type { AdminDependencies } from '../admin/admin-call.ts';
import { createSqlCatalog } from '../catalog/sql-catalog.ts';
import { systemClock } from '../domain/clock.ts';
import { hashSecret, type TenantId } from '../domain/ids.ts';
import { formatAmount } from '../domain/money.ts';
import { createMemoryHotState } from '../hot-state/memory.ts';
import type { Driver } from '../ledger/drivers/driver.ts';
import { openPostgres } from '../ledger/drivers/postgres.ts';
import { createSqlLedger } from '../ledger/sql-ledger.ts';
import { withBuiltInPrices } from '../prices/price-book.ts';
import { type SetUp, setUpOnce } from './set-up.ts';

// Each machine has connections of its own to one Postgres: the embedded engine has one, which shows no race.

const machines = 6;
const providers = [
  { name: 'openai', baseUrl: 'https://api.openai.com/v1' },
  { name: 'anthropic', baseUrl: 'https://api.anthropic.com' },
] as const;

let database: TestDatabase;
let drivers: Driver[];
let admins: AdminDependencies[];

beforeAll(async () => {
  database = await newDatabase();
  drivers = await Promise.all(Array.from({ length: machines }, () => openPostgres({ url: database.url })));
  admins = drivers.map((driver) => ({
    catalog: withBuiltInPrices(createSqlCatalog({ db: driver.db }), systemClock),
    dialectNames: ['openai.chat'],
    ledger: createSqlLedger({ driver }),
    hotState: createMemoryHotState({ clock: systemClock }),
    clock: systemClock,
    newId: randomUUIDv7,
    onProjectionFailed: (error) => expect.unreachable(String(error)),
  }));
});
afterAll(async () => {
  for (const driver of drivers) await driver.close();
  await database.remove();
});

const everywhere = (hasAdminToken: boolean): Promise<SetUp[]> =>
  Promise.all(
    admins.map((admin, index) =>
      setUpOnce({ admin, hasAdminToken, providers, simulatorOrigin: `http://127.0.0.1:${9_000 + index}` }),
    ),
  );

const count = async (table: string): Promise<number> => {
  const [row] = await drivers[0]!.query<{ count: string }>(`SELECT count(*) AS count FROM ${table}`, []);
  return Number(row?.count);
};

it('makes no admin token where the environment has one', async () => {
  for (const { adminToken } of await everywhere(true)) expect(adminToken).toBeNull();
  expect(await count('admin_token')).toBe(0);
});

it('makes one admin token, however many machines start at once, and shows it on the one that made it', async () => {
  const tokens = (await everywhere(false)).flatMap(({ adminToken }) => adminToken ?? []);
  expect(tokens).toHaveLength(1);
  expect(await count('admin_token')).toBe(1);
  const [{ catalog }] = admins as [AdminDependencies];
  expect(await catalog.findAdmin(hashSecret(tokens[0]!))).toBe('first start');
  for (const { adminToken } of await everywhere(false)) expect(adminToken).toBeNull();
});

it('sets up the same demo and the same models on all of them, and pays the opening balance once', async () => {
  const all = await everywhere(true);
  const [{ catalog, ledger }] = admins as [AdminDependencies];
  const snapshot = await ledger.snapshot('demo' as TenantId);
  expect(snapshot.kind === 'snapshot' && formatAmount(snapshot.projection.balance)).toBe('10');
  expect(await count(`billing_transaction WHERE tenant_id = 'demo'`)).toBe(1);
  const names = new Set((await catalog.listModels()).map(({ name }) => name));
  for (const { providers: served } of all) {
    for (const name of served.flatMap((provider) => provider.served)) expect(names).toContain(name);
  }
  // A card for each of the demo's two models, and none for those that the price book prices.
  expect(await count('rate_card')).toBe(2);
  expect(await count('route')).toBe(names.size);
});
