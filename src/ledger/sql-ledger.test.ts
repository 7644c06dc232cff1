import { newDataDir } from '../../test/support/template.ts';
import { openPglite } from './drivers/pglite.ts';
import { describeLedger } from './ledger.contract.ts';

describeLedger('PGlite', async () => {
  const dataDir = await newDataDir();
  const driver = await openPglite(dataDir.path);
  return {
    ...driver,
    close: async () => {
      await driver.close();
      await dataDir.remove();
    },
  };
});
