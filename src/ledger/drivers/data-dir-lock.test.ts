import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataDir } from './data-dir-lock.ts';

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tollgate-lock-'));
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

async function leaveLock(holder: object): Promise<void> {
  await mkdir(join(dataDir, 'ledger.lock'));
  await writeFile(join(dataDir, 'ledger.lock', 'holder.json'), JSON.stringify(holder));
}

describe('the lock of a data directory', () => {
  it('is held by one at a time, and free after its release', async () => {
    const lock = await lockDataDir(dataDir);
    await expect(lockDataDir(dataDir)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await lock.release();
    expect(await readdir(dataDir)).toEqual([]);
    await (await lockDataDir(dataDir)).release();
  });

  it('is taken by exactly one of many that want it at once', async () => {
    const answers = await Promise.allSettled(Array.from({ length: 10 }, () => lockDataDir(dataDir)));
    const held = answers.filter((answer) => answer.status === 'fulfilled');
    expect(held).toHaveLength(1);
    await held[0]!.value.release();
  });

  it('is taken over from a process that has died', async () => {
    await leaveLock({ host: hostname(), pid: 2 ** 22 + 1, startTime: '1' });
    await (await lockDataDir(dataDir)).release();
  });

  it('is taken over from a process whose pid belongs to another now', async () => {
    await leaveLock({ host: hostname(), pid: process.ppid, startTime: 'long before' });
    await (await lockDataDir(dataDir)).release();
  });

  it('is left to a living process', async () => {
    await leaveLock({ host: hostname(), pid: process.ppid, startTime: null });
    await expect(lockDataDir(dataDir)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  });
});
