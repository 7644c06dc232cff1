import { afterAll, beforeAll, expect, test } from 'vitest';
import { newDataDir, type TestDataDir } from '../../test/support/template.ts';
import type { Driver } from '../ledger/drivers/driver.ts';
import { openPglite } from '../ledger/drivers/pglite.ts';
import { migrate } from '../ledger/migrations/migrations.ts';
import type { FactorStore } from '../tokenizer/factor-store.ts';
import { createSqlFactorStore } from './sql-factor-store.ts';

let dataDir: TestDataDir;
let driver: Driver;
let store: FactorStore;

beforeAll(async () => {
  dataDir = await newDataDir();
  driver = await openPglite(dataDir.path);
  await migrate(driver.db);
  store = createSqlFactorStore({ db: driver.db });
});

afterAll(async () => {
  await driver.close();
  await dataDir.remove();
});

const output = { model: 'anthropic/claude', side: 'output', factorPpm: 1_234_567, samples: 20 } as const;
const input = { ...output, side: 'input', factorPpm: 987_654 } as const;

test('factors come back as they were kept, each side by itself', async () => {
  expect(await store.load(10)).toEqual([]);
  await store.save([output, input]);
  expect(new Set(await store.load(10))).toEqual(new Set([output, input]));
  expect(await store.load(1)).toHaveLength(1);
});

test('of several processes the one that learned from more answers is kept', async () => {
  await store.save([{ ...output, factorPpm: 2_000_000, samples: 3 }]);
  expect(await store.load(10)).toContainEqual(output);
  const more = { ...output, factorPpm: 1_100_000, samples: 21 };
  await store.save([more]);
  expect(await store.load(10)).toContainEqual(more);
});

test('a name that SQL text cannot hold fails nothing', async () => {
  await store.save([{ ...output, model: 'a\0b' }]);
  await store.save([]);
  expect(await store.load(10)).toHaveLength(2);
});
