import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startServerProcess } from './server-process.ts';

const here = dirname(fileURLToPath(import.meta.url));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

interface Started {
  readonly pid: number;
  readonly folder: string;
}

/** Another process that starts a server, says which, and is killed. */
async function startAndDie(program: string): Promise<Started> {
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: here,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface(parent.stdout), 'line');
  const exited = once(parent, 'exit');
  parent.kill('SIGKILL');
  await exited;
  return JSON.parse(line);
}

const gone = ({ pid, folder }: Started) =>
  expect
    .poll(() => ({ alive: isAlive(pid), folder: existsSync(folder) }), { timeout: 20_000 })
    .toEqual({ alive: false, folder: false });

const report = (expression: string) =>
  `console.log(JSON.stringify(${expression})); setInterval(() => undefined, 1000);`;

describe('a server process', () => {
  it('does not outlive a killed test process, and neither does its folder: Redis, also when frozen', async () => {
    const program = `
      import { askRedis } from './ask-redis.ts';
      import { startRedis } from './redis.ts';
      const server = await startRedis();
      const [, folder] = await askRedis(server, (client) => client.config('GET', 'dir'));
      await server.freeze();
      ${report('{ pid: server.pid, folder }')}`;
    await gone(await startAndDie(program));
  });

  it('does not outlive a killed test process, and neither does its folder: Postgres', async () => {
    const program = `
      import { Client } from 'pg';
      import { readFileSync } from 'node:fs';
      import { startPostgres } from './postgres.ts';
      const { url } = await startPostgres();
      const client = new Client({ connectionString: url });
      await client.connect();
      const { rows: [{ folder }] } = await client.query("SELECT current_setting('data_directory') AS folder");
      const pid = Number(readFileSync(folder + '/postmaster.pid', 'utf8').split('\\n')[0]);
      ${report('{ pid, folder }')}`;
    await gone(await startAndDie(program));
  });

  const sleeper = {
    program: process.execPath,
    args: ['-e', 'console.log("here"); setInterval(() => undefined, 1000)'],
    cwd: here,
    endSignal: 'SIGKILL',
  } as const;

  it('ends when it is told to, even frozen, and may be told again', async () => {
    const server = await startServerProcess(sleeper);
    expect(server.isRunning).toBe(true);
    server.signal('SIGSTOP');
    await server.end('SIGTERM');
    expect(server.isRunning).toBe(false);
    expect(isAlive(server.pid)).toBe(false);
    await server.end();
  });

  it('that ended by itself is told with what it printed', async () => {
    const server = await startServerProcess({
      ...sleeper,
      args: ['-e', 'console.log("on one"); console.error("on the other"); process.exit(3)'],
    });
    await expect.poll(() => server.isRunning, { timeout: 10_000 }).toBe(false);
    await expect.poll(() => server.output()).toMatch(/on one.*on the other/s);
    expect(server.requireRunning).toThrow(/ended \(3\):\n.*on the other/s);
  });

  it('that can not be started is a rejection', async () => {
    await expect(startServerProcess({ ...sleeper, program: '/nowhere/server' })).rejects.toThrow('ENOENT');
  });
});
