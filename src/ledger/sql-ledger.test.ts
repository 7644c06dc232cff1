import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPglite } from './drivers/pglite.ts';
import { describeLedger } from './ledger.contract.ts';
import { migrate } from './migrations/migrations.ts';

describeLedger('PGlite', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'tollgate-ledger-'));
  const driver = await openPglite(dataDir);
  await migrate(driver.db);
  return {
    ...driver,
    close: async () => {
      await driver.close();
      await rm(dataDir, { recursive: true });
    },
  };
});
