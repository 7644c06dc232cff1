import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programPath, redisPrograms } from './find-programs.ts';
import { freePort } from './free-port.ts';
import { startServerProcess } from './server-process.ts';
import { waitUntil } from './wait-until.ts';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Another one after a restart. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** Ends it at once, as a power switch would: what its settings don't persist is lost. */
  crash(): Promise<void>;
  /** Starts it again on the same port, with the same settings and what they have persisted. */
  restart(): Promise<void>;
  /** It keeps its connections and answers nobody, until `thaw`. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** As in redis.conf. */
export type RedisSettings = Readonly<Record<string, string>>;

const startsWithinMs = 10_000;
const answersWithinMs = 1_000;

/** A Redis of the test's own on a free port of loopback, without persistence unless `settings` ask for it. */
export async function startRedis(settings: RedisSettings = {}): Promise<RedisServer> {
  const folder = await newRedisFolder();
  const port = settings.port === undefined ? await freePort() : Number(settings.port);
  const all = { bind: '127.0.0.1', port: `${port}`, dir: folder, save: '', appendonly: 'no', ...settings };
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  return await runRedis({ folder, port, args });
}

export function newRedisFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'tollgate-redis-'));
}

export interface RunRedisOptions {
  /** Its own, removed at the end. */
  readonly folder: string;
  readonly port: number;
  readonly args: readonly string[];
}

export async function runRedis({ folder, port, args }: RunRedisOptions): Promise<RedisServer> {
  const remove = () => rm(folder, { recursive: true, force: true });
  const start = async () => {
    const program = await programPath(redisPrograms);
    const started = await startServerProcess({
      program,
      args,
      cwd: folder,
      endSignal: 'SIGKILL',
      temporaryFolder: folder,
    });
    const ready = {
      what: `Redis takes commands on port ${port}`,
      isSo: () => takesCommands(port),
      withinMs: startsWithinMs,
      giveUp: started.requireRunning,
    };
    await waitUntil(ready).catch(async (error) => {
      await started.end();
      throw error;
    });
    return started;
  };
  let server = await start().catch(async (error) => {
    await remove();
    throw error;
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid;
    },
    get isRunning() {
      return server.isRunning;
    },
    crash: () => server.end(),
    restart: async () => {
      await server.end();
      server = await start();
    },
    freeze: async () => server.signal('SIGSTOP'),
    thaw: async () => server.signal('SIGCONT'),
    stop: async () => {
      await server.end();
      await remove();
    },
  };
}

/** One that asks for a password takes commands too; one that still reads its files does not. */
async function takesCommands(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(answersWithinMs, () => socket.destroy(new Error('no answer to PING')));
  try {
    socket.write('PING\r\n');
    const [reply] = await once(socket, 'data');
    return !String(reply).startsWith('-LOADING');
  } finally {
    socket.destroy();
  }
}

/** Starts them all at once: either all of them run then, or none. */
export async function startTogether(
  starts: readonly (() => Promise<RedisServer>)[],
): Promise<readonly RedisServer[]> {
  const outcomes = await Promise.allSettled(starts.map((start) => start()));
  const servers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return servers;
  await stopTogether(servers);
  throw failed.reason;
}

export async function stopTogether(servers: readonly RedisServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}
