import { newDatabase, newDataDir } from '../../test/support/template.ts';
import type { Driver } from '../ledger/drivers/driver.ts';
import { openPglite } from '../ledger/drivers/pglite.ts';
import { openPostgres } from '../ledger/drivers/postgres.ts';
import { describeOutbox } from './outbox.contract.ts';

/** With what it stands on, which goes when it is closed. */
function onOwn(driver: Driver, { remove }: { remove(): Promise<void> }): Driver {
  return {
    ...driver,
    close: async () => {
      await driver.close();
      await remove();
    },
  };
}

describeOutbox('PGlite', async () => {
  const dataDir = await newDataDir();
  return onOwn(await openPglite(dataDir.path), dataDir);
});

describeOutbox('Postgres', async () => {
  const database = await newDatabase();
  return onOwn(await openPostgres({ url: database.url }), database);
});
