import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askRedis } from './ask-redis.ts';
import { waitUntil } from './wait-until.ts';

const entry = fileURLToPath(new URL('dev.ts', import.meta.url));

interface DevServices {
  readonly child: ChildProcess;
  readonly databaseUrl: string;
  readonly redis: { readonly port: number };
  readonly ports: readonly number[];
  output(): string;
  end(signal: NodeJS.Signals): Promise<number | null>;
}

let dataDir: string;
let undo: AsyncDisposableStack;

beforeEach(async () => {
  undo = new AsyncDisposableStack();
  dataDir = await mkdtemp(join(tmpdir(), 'tollgate-dev-'));
  undo.defer(() => rm(dataDir, { recursive: true, force: true }));
  // Root's Postgres runs as somebody else.
  await chmod(dataDir, 0o755);
});
afterEach(() => undo.disposeAsync());

function run() {
  const child = spawn(process.execPath, [entry], {
    env: { ...process.env, DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  undo.defer(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, output: () => output, exited };
}

async function start(): Promise<DevServices> {
  const { child, output, exited } = run();
  await waitUntil({
    what: 'dev:services tells where they are',
    isSo: async () => output().includes('npm start\n'),
    withinMs: 30_000,
    giveUp: () => {
      if (child.exitCode !== null) throw new Error(output());
    },
  });
  const databaseUrl = /^DATABASE_URL=(\S+)$/m.exec(output())?.[1] ?? '';
  const redisUrl = /^REDIS_URL=(\S+)$/m.exec(output())?.[1] ?? '';
  const [postgresPort = 0, redisPort = 0] = [databaseUrl, redisUrl].map((url) => Number(new URL(url).port));
  return {
    child,
    databaseUrl,
    redis: { port: redisPort },
    ports: [postgresPort, redisPort],
    output,
    end: async (signal) => {
      child.kill(signal);
      return await exited;
    },
  };
}

async function query(url: string, statement: string): Promise<readonly unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

const allGone = ({ ports }: DevServices) =>
  expect.poll(() => Promise.all(ports.map(listens)), { timeout: 20_000 }).toEqual([false, false]);

describe('npm run dev:services', () => {
  it('keeps the ledger from one start to the next, and nothing of Redis', async () => {
    const first = await start();
    await query(first.databaseUrl, 'CREATE TABLE kept AS SELECT 7 AS amount');
    await askRedis(first.redis, (client) => client.set('name', 'value'));
    expect(await first.end('SIGTERM')).toBe(0);
    await allGone(first);

    const second = await start();
    expect(await query(second.databaseUrl, 'SELECT amount FROM kept')).toEqual([{ amount: 7 }]);
    expect(await askRedis(second.redis, (client) => client.get('name'))).toBeNull();
    // As from a terminal and npm.
    second.child.kill('SIGINT');
    await expect.poll(second.output, { interval: 1 }).toContain('Stopping Postgres and Redis.');
    expect(await second.end('SIGINT')).toBe(0);
    await allGone(second);
  });

  it('says how to start the gateway, with a Postgres that syncs and is reached from here alone', async () => {
    const { databaseUrl, redis, output } = await start();
    expect(output()).toContain(
      `DATABASE_URL=${databaseUrl} REDIS_URL=redis://127.0.0.1:${redis.port} npm start`,
    );
    for (const [name, value] of [
      ['fsync', 'on'],
      ['synchronous_commit', 'on'],
      ['listen_addresses', '127.0.0.1'],
    ]) {
      expect(await query(databaseUrl, `SHOW ${name}`)).toEqual([{ [name!]: value }]);
    }
    expect(await askRedis(redis, (client) => client.config('GET', 'bind'))).toEqual(['bind', '127.0.0.1']);
  });

  it('leaves no server behind when it is killed, and no row is lost', async () => {
    const first = await start();
    await query(first.databaseUrl, 'CREATE TABLE kept AS SELECT 7 AS amount');
    await first.end('SIGKILL');
    await allGone(first);
    await expect
      .poll(() => existsSync(join(dataDir, 'services/postgres/postmaster.pid')), { timeout: 20_000 })
      .toBe(false);
    const second = await start();
    expect(await query(second.databaseUrl, 'SELECT amount FROM kept')).toEqual([{ amount: 7 }]);
  });

  it('fails where the data are in use already, and the one that uses them goes on', async () => {
    const first = await start();
    const other = run();
    expect(await other.exited).toBe(1);
    expect(other.output()).toContain('postmaster.pid');
    expect(await query(first.databaseUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it.runIf(process.getuid?.() === 0)('says so where root keeps its data to itself', async () => {
    await chmod(dataDir, 0o700);
    const alone = run();
    expect(await alone.exited).toBe(1);
    expect(alone.output()).toMatch(/Postgres does not run as root.*DATA_DIR/s);
  });

  it('ends with the other one where a server ends by itself', async () => {
    const services = await start();
    const exited = once(services.child, 'exit');
    await askRedis(services.redis, (client) => client.shutdown('NOSAVE')).catch(() => undefined);
    expect((await exited)[0]).toBe(1);
    expect(services.output()).toContain('Redis has ended');
    await allGone(services);
  });
});
