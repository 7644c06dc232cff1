import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';
import { openPglite } from '../../src/ledger/drivers/pglite.ts';
import { migrate } from '../../src/ledger/migrations/migrations.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    templateDataDir: string;
  }
}

/** Making a database takes seconds, copying one does not: it is made once for the whole run. */
export default async function makeTemplate(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tollgate-template-'));
  const driver = await openPglite(dataDir);
  await migrate(driver.db);
  await driver.close();
  project.provide('templateDataDir', dataDir);
  return () => rm(dataDir, { recursive: true, force: true });
}

export interface TestDataDir {
  readonly path: string;
  remove(): Promise<void>;
}

/** A data directory with an empty, migrated ledger. */
export async function newDataDir(): Promise<TestDataDir> {
  const path = await mkdtemp(join(tmpdir(), 'tollgate-data-'));
  await cp(inject('templateDataDir'), path, { recursive: true });
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
