import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

const run = promisify(execFile);
const startsWithinMs = 10_000;

/** A Redis of the test's own on a free port of loopback, without persistence. `settings` as in redis.conf. */
export async function startRedis(settings: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
  const binary = await findRedisServer();
  const directory = await mkdtemp(join(tmpdir(), 'tollgate-redis-'));
  const port = settings.port === undefined ? await freePort() : Number(settings.port);
  const all = { bind: '127.0.0.1', port: `${port}`, dir: directory, save: '', appendonly: 'no', ...settings };
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  const server = spawn(binary, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  // A test process that is killed must not leave it behind.
  const kill = () => server.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    if (server.exitCode === null && server.signalCode === null) {
      const ended = once(server, 'exit');
      kill();
      await ended;
    }
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await once(server, 'spawn');
    await acceptsConnections(port, server);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `redis://127.0.0.1:${port}`, port, pid: server.pid!, stop };
}

/**
 * On the PATH, or installed from Debian's packages where that is permitted.
 * @throws Error that says what to install
 */
async function findRedisServer(): Promise<string> {
  const onPath = () =>
    (process.env.PATH ?? '')
      .split(delimiter)
      .map((directory) => join(directory, 'redis-server'))
      .find((path) => existsSync(path));
  const found = onPath();
  if (found !== undefined) return found;
  const howTo = 'The tests need redis-server, version 7 or newer, on the PATH: apt-get install redis-server';
  if (process.getuid?.() !== 0) throw new Error(howTo);
  try {
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update', '-qq'], { env: environment });
    // The package would start a server of its own on the usual port, but for this policy.
    const args = ['install', '-y', '-qq', '--no-install-recommends', 'redis-server'];
    await run('apt-get', args, { env: { ...environment, RUNLEVEL: '1' } });
  } catch (error) {
    throw new Error(`${howTo} (trying that failed)`, { cause: error });
  }
  const installed = onPath();
  if (installed === undefined) throw new Error(howTo);
  return installed;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function acceptsConnections(port: number, server: ChildProcess): Promise<void> {
  const deadline = performance.now() + startsWithinMs;
  while (performance.now() < deadline) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with exit code ${server.exitCode}`);
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await sleep(20);
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`redis-server did not accept connections within ${startsWithinMs} ms`);
}
