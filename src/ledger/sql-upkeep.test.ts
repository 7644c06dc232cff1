import { randomUUIDv7 } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDatabase, newDataDir } from '../../test/support/template.ts';
import type { TenantId } from '../domain/ids.ts';
import { draftFor } from './contract/drafts.contract.ts';
import type { Driver } from './drivers/driver.ts';
import { openPglite } from './drivers/pglite.ts';
import { openPostgres } from './drivers/postgres.ts';
import { createSqlLedger } from './sql-ledger.ts';
import { createSqlUpkeep } from './sql-upkeep.ts';
import type { TenantPageRequest, Upkeep } from './upkeep.ts';

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

describe.each([
  ['Postgres', onPostgres],
  ['PGlite', onPglite],
] as const)('jobs on %s', (_, open) => {
  let opened: Opened;
  let upkeep: Upkeep;

  beforeAll(async () => {
    opened = await open();
    upkeep = createSqlUpkeep(opened.driver.db, 2);
  });
  afterAll(async () => {
    await opened.driver.close();
    await opened.remove();
  });

  const minute = 60_000;
  const shift = (job: string, interval: string) =>
    sql`UPDATE job_run SET started_at = started_at + ${interval}::interval WHERE name = ${job}`.execute(
      opened.driver.db,
    );

  it('are one process’ turn in their time', async () => {
    const claims = await Promise.all(Array.from({ length: 8 }, () => upkeep.claimRun('one', minute)));
    expect(claims.filter((isOurs) => isOurs)).toHaveLength(1);
    expect(await upkeep.claimRun('another', minute)).toBe(true);
    await shift('one', '-59 seconds');
    expect(await upkeep.claimRun('one', minute)).toBe(false);
    await shift('one', '-2 seconds');
    expect(await upkeep.claimRun('one', minute)).toBe(true);
  });

  it('go on when the clock was set back', async () => {
    await upkeep.claimRun('back', minute);
    await shift('back', '1 day');
    expect(await upkeep.claimRun('back', minute)).toBe(true);
    expect(await upkeep.claimRun('back', minute)).toBe(false);
  });

  it('look at all tenants, or at those of which something changed or is open, by pages', async () => {
    const { db } = opened.driver;
    const tenantIds = ['a', 'b', 'c', 'd', 'e'] as string[] as TenantId[];
    for (const tenant_id of tenantIds) {
      await db.insertInto('tenant').values({ tenant_id, name: 'test' }).execute();
      const quota = { tenant_id, currency: 'USD', time_zone: 'UTC' };
      await db.insertInto('tenant_quota').values(quota).execute();
    }
    await sql`UPDATE tenant_quota SET updated_at = now() - interval '6 minutes' WHERE tenant_id <> 'b'`.execute(
      db,
    );
    await createSqlLedger({ driver: opened.driver }).createPending(
      draftFor('d' as TenantId, { traceId: randomUUIDv7() as never }),
    );
    const pages = async (which: TenantPageRequest['which']) => {
      const all: (readonly TenantId[])[] = [];
      let after: TenantId | null = null;
      do {
        const page = await upkeep.tenants({ after, which });
        all.push(page.tenantIds);
        after = page.next;
      } while (after !== null);
      return all;
    };
    expect(await pages('all')).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
    expect(await pages('active')).toEqual([['b'], ['d'], []]);
  });
});
