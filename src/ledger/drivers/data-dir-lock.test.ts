import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataDir } from './data-dir-lock.ts';

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tollgate-lock-'));
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

/** Another process that tries to take the lock, says whether it did, and keeps it. */
async function opener(): Promise<{ got: boolean; kill(): Promise<void> }> {
  const module = new URL('./data-dir-lock.ts', import.meta.url).href;
  const script = `
    const { lockDataDir } = await import(${JSON.stringify(module)});
    try { globalThis.lock = lockDataDir(${JSON.stringify(dataDir)}); console.log('got it'); }
    catch { console.log('refused'); }
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await once(child.stdout, 'data');
  return {
    got: String(said).includes('got it'),
    kill: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

describe('the lock of a data directory', () => {
  it('is held by one at a time within a process, and free after its release', () => {
    const lock = lockDataDir(dataDir);
    expect(() => lockDataDir(dataDir)).toThrow(/in use by another Tollgate process/);
    lock.release();
    lockDataDir(dataDir).release();
  });

  it('is taken by exactly one of several processes, also when its holder was killed before', async () => {
    const first = await opener();
    expect(first.got).toBe(true);
    await first.kill();
    for (let round = 0; round < 3; round++) {
      const openers = await Promise.all([opener(), opener(), opener()]);
      expect(openers.filter(({ got }) => got)).toHaveLength(1);
      expect(() => lockDataDir(dataDir)).toThrow(/in use/);
      await Promise.all(openers.map(({ kill }) => kill()));
    }
    lockDataDir(dataDir).release();
  });
});
