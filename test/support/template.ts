import { cpSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';
import { openMigratedDriver } from '../../src/ledger/drivers/open-driver.ts';
import { openPglite } from '../../src/ledger/drivers/pglite.ts';
import { migrate } from '../../src/ledger/migrations/migrations.ts';
import { administer, createDatabase, startPostgres, type TestDatabase } from './services/postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    templateDataDir: string;
    /** Of the server that all tests share; its database `ledger_template` is an empty, migrated ledger. */
    postgresUrl: string;
  }
}

const templateDatabase = 'ledger_template';

/** Making a database takes seconds, copying one does not: each engine's is made once for the whole run. */
export default async function makeTemplates(project: TestProject): Promise<() => Promise<void>> {
  const undo = new AsyncDisposableStack();
  try {
    project.provide('templateDataDir', await makeEmbedded(undo));
    if (process.env.TEST_SERVICES === '1') project.provide('postgresUrl', await makePostgres(undo));
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
  return () => undo.disposeAsync();
}

async function makeEmbedded(undo: AsyncDisposableStack): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tollgate-template-'));
  undo.defer(() => rm(dataDir, { recursive: true, force: true }));
  const driver = await openPglite(dataDir);
  await migrate(driver.db);
  await driver.close();
  return dataDir;
}

async function makePostgres(undo: AsyncDisposableStack): Promise<string> {
  const server = await startPostgres();
  undo.defer(() => server.stop());
  await administer(server.url, `CREATE DATABASE ${templateDatabase}`);
  const driver = await openMigratedDriver({ databaseUrl: server.urlOf(templateDatabase), dataDir: '' });
  await driver.close();
  return server.url;
}

/** A database in the shared Postgres with an empty, migrated ledger. */
export function newDatabase(): Promise<TestDatabase> {
  return createDatabase(inject('postgresUrl'), templateDatabase);
}

/** One without any schema. */
export function newEmptyDatabase(): Promise<TestDatabase> {
  return createDatabase(inject('postgresUrl'));
}

export interface TestDataDir {
  readonly path: string;
  remove(): Promise<void>;
}

/** A data directory with an empty, migrated ledger. */
export async function newDataDir(): Promise<TestDataDir> {
  const path = await mkdtemp(join(tmpdir(), 'tollgate-data-'));
  // A thousand files: one by one, as `cp` copies them, they take ten times as long.
  cpSync(inject('templateDataDir'), path, { recursive: true });
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
