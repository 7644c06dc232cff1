import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { childrenOf } from './children.ts';

it('finds the processes that one has started, whatever they are called, and no others', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-children-'));
  const oddlyNamed = join(folder, 'a ) S 1 (b');
  await symlink(process.execPath, oddlyNamed);
  const script = 'sleep 60 & "$0" -e "console.log(1); setTimeout(() => {}, 60000)" & wait';
  const shell = spawn('sh', ['-c', script, oddlyNamed], { stdio: ['ignore', 'pipe', 'ignore'] });
  const closed = once(shell, 'close');
  await once(shell.stdout, 'data');
  const children = await childrenOf(shell.pid!);
  for (const pid of children) process.kill(pid, 'SIGKILL');
  await closed;
  await rm(folder, { recursive: true });
  expect(children).toHaveLength(2);
  expect(await childrenOf(shell.pid!)).toEqual([]);
});
