import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillLedger, grownTenant } from '../bench/growth/fill.ts';
import { verifyChains } from '../bench/growth/verify.ts';
import { administer, type TestDatabase } from './support/services/postgres.ts';
import { newDatabase } from './support/template.ts';

const run = promisify(execFile);
const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

describe('a ledger that was filled to measure how it grows', () => {
  const tenants = 7;
  const transactions = 40;
  const names = Array.from({ length: tenants }, (_, index) => grownTenant(index));
  let database: TestDatabase;

  beforeAll(async () => {
    database = await newDatabase();
    await fillLedger(database.url, { tenants, transactions });
  });
  afterAll(() => database.remove());

  it('is one that the gateway could have written: its audit finds nothing', async () => {
    const env = { PATH: process.env.PATH ?? '', DATABASE_URL: database.url };
    const { stdout } = await run(process.execPath, [path('../bin/tollgate.js'), 'audit'], { env });
    expect(stdout).toContain(`${transactions}`);
    expect(await verifyChains(database.url, names)).toEqual([]);
  });

  it('is told to be wrong where a balance is', async () => {
    await administer(
      database.url,
      `UPDATE tenant_quota SET balance = balance + 1 WHERE tenant_id = '${names[3]}'`,
    );
    expect(await verifyChains(database.url, names)).toEqual([`1 of ${tenants} tenants are wrong in SQL`]);
  });
});

describe('npm run bench', () => {
  it('answers a question with a table and, as its last line, JSON', async () => {
    const args = [path('../bench/run.ts'), 'metering', '--rounds', '1', '--seconds', '0.01'];
    const { stdout } = await run(process.execPath, args);
    expect(stdout).toContain('openai.chat');
    const answer = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
    expect(answer).toMatchObject({ question: 'metering', failures: [] });
    expect(answer.figures).toHaveLength(5);
  });

  it('says what it can be asked', async () => {
    const asked = run(process.execPath, [path('../bench/run.ts'), 'anything']);
    await expect(asked).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('streams') });
  });
});
