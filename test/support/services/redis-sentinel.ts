import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { askRedis } from './ask-redis.ts';
import { freePort } from './free-port.ts';
import {
  newRedisFolder,
  type RedisServer,
  type RedisSettings,
  runRedis,
  startRedis,
  startTogether,
  stopTogether,
} from './redis.ts';
import { waitUntil } from './wait-until.ts';

export interface RedisSentinel {
  /** What the sentinels call the master. */
  readonly name: string;
  /** Where clients ask for the master. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** Roles are those at the start. */
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];
  /** Waits until the replica is master, and every sentinel that runs says so. */
  promoted(): Promise<void>;
  stop(): Promise<void>;
}

const name = 'tollgate';
const sentinelCount = 3;
const quorum = 2;
const knowWithinMs = 20_000;
const promotesWithinMs = 30_000;
/** A master is given up after this long without an answer. Below it, busy machines fail over for nothing. */
const downAfterMs = 1_000;
/** Sentinels who split their votes begin anew after twice as long. */
const failoverTimeoutMs = 3_000;

/** One master, its replica, and three sentinels who watch them, on loopback. */
export async function startRedisSentinel(settings: RedisSettings = {}): Promise<RedisSentinel> {
  const servers: RedisServer[] = [];
  const stop = () => stopTogether(servers);
  try {
    const master = await startRedis({ 'repl-diskless-sync-delay': '0', ...settings });
    servers.push(master);
    const replica = await startRedis({ ...settings, replicaof: `127.0.0.1 ${master.port}` });
    servers.push(replica);
    // A sentinel that comes too early to see the replica looks again after ten seconds only.
    await waitUntil({
      what: 'the replica follows the master',
      isSo: () => isFollowedBy(master, replica),
      withinMs: knowWithinMs,
    });
    const starts = Array.from({ length: sentinelCount }, () => () => startSentinel(master.port));
    const sentinels = await startTogether(starts);
    servers.push(...sentinels);
    await waitUntil({
      what: 'the sentinels know of the replica and of each other',
      isSo: () => everyone(sentinels, knowsAll),
      withinMs: knowWithinMs,
    });
    return {
      name,
      addresses: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
      master,
      replica,
      sentinels,
      promoted: () =>
        waitUntil({
          what: 'the replica is master',
          isSo: async () =>
            (await isMaster(replica)) &&
            (await everyone(sentinels, async (sentinel) => (await masterPort(sentinel)) === replica.port)),
          withinMs: promotesWithinMs,
        }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A sentinel writes what it learns into its configuration file. */
async function startSentinel(masterPort: number): Promise<RedisServer> {
  const folder = await newRedisFolder();
  const port = await freePort();
  const file = join(folder, 'sentinel.conf');
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `dir ${folder}`,
    `sentinel monitor ${name} 127.0.0.1 ${masterPort} ${quorum}`,
    `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
    `sentinel failover-timeout ${name} ${failoverTimeoutMs}`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return await runRedis({ folder, port, args: [file, '--sentinel'] });
}

async function isFollowedBy(master: RedisServer, replica: RedisServer): Promise<boolean> {
  const told = await askRedis(master, (client) => client.info('replication'));
  const heard = await askRedis(replica, (client) => client.info('replication'));
  return /^slave0:.*state=online/m.test(told) && /master_link_status:up/.test(heard);
}

async function isMaster(server: RedisServer): Promise<boolean> {
  return /role:master/.test(await askRedis(server, (client) => client.info('replication')));
}

async function everyone(
  servers: readonly RedisServer[],
  isSo: (server: RedisServer) => Promise<boolean>,
): Promise<boolean> {
  const answers = await Promise.all(servers.filter(({ isRunning }) => isRunning).map(isSo));
  return answers.every(Boolean);
}

async function knowsAll(sentinel: RedisServer): Promise<boolean> {
  const info = await askRedis(sentinel, (client) => client.info('sentinel'));
  return info.includes('status=ok') && info.includes(`slaves=1,sentinels=${sentinelCount}`);
}

async function masterPort(sentinel: RedisServer): Promise<number> {
  const address = await askRedis(sentinel, (client) =>
    client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name),
  );
  return Number((address as readonly string[])[1]);
}
