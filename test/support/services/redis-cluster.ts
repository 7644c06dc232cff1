import { askRedis } from './ask-redis.ts';
import { freePort } from './free-port.ts';
import { type RedisServer, type RedisSettings, startRedis, startTogether, stopTogether } from './redis.ts';
import { waitUntil } from './wait-until.ts';

export interface RedisCluster {
  /** Masters first. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Those that began as masters, in the order of their slots. */
  readonly masters: readonly RedisServer[];
  /** Each is of the master at the same place. */
  readonly replicas: readonly RedisServer[];
  /** The place among `masters` that a Redis key began at. */
  placeOf(redisKey: string): Promise<number>;
  /** Waits until the replica has taken the place of its master, and every node that runs knows and serves. */
  promoted(place: number): Promise<void>;
  stop(): Promise<void>;
}

const slots = 16_384;
const masterCount = 3;
const formsWithinMs = 20_000;
const promotesWithinMs = 30_000;
/** A master is given up after this long without an answer. Below it, busy machines fail over for nothing. */
const nodeTimeoutMs = 1_000;

const firstSlotAt = (place: number) => Math.ceil((place * slots) / masterCount);

/** Three masters on loopback that share the slots, with a replica each. */
export async function startRedisCluster(settings: RedisSettings = {}): Promise<RedisCluster> {
  const busPorts = await Promise.all(Array.from({ length: 2 * masterCount }, () => freePort()));
  const servers = await startTogether(
    busPorts.map((busPort) => () => startRedis({ ...nodeSettings(busPort), ...settings })),
  );
  const masters = servers.slice(0, masterCount);
  const replicas = servers.slice(masterCount);
  try {
    await form(masters, replicas, busPorts);
  } catch (error) {
    await stopTogether(servers);
    throw error;
  }
  return {
    nodes: servers.map(({ port }) => ({ host: '127.0.0.1', port })),
    masters,
    replicas,
    placeOf: async (redisKey) => {
      const runs = servers.filter(({ isRunning }) => isRunning);
      const slot = await askRedis(runs[0]!, (client) => client.cluster('KEYSLOT', redisKey));
      return Math.floor((slot * masterCount) / slots);
    },
    promoted: (place) =>
      waitUntil({
        what: `the replica at place ${place} is master`,
        isSo: async () => {
          for (const server of servers) {
            if (server.isRunning && !(await serves(server, place, replicas[place]!.port))) return false;
          }
          return true;
        },
        withinMs: promotesWithinMs,
      }),
    stop: () => stopTogether(servers),
  };
}

const nodeSettings = (busPort: number): RedisSettings => ({
  'cluster-enabled': 'yes',
  'cluster-port': `${busPort}`,
  'cluster-node-timeout': `${nodeTimeoutMs}`,
  // A replica would wait five seconds for others to join its first copy.
  'repl-diskless-sync-delay': '0',
});

async function form(
  masters: readonly RedisServer[],
  replicas: readonly RedisServer[],
  busPorts: readonly number[],
): Promise<void> {
  for (const [place, master] of masters.entries()) {
    await askRedis(master, async (client) => {
      await client.cluster('ADDSLOTSRANGE', firstSlotAt(place), firstSlotAt(place + 1) - 1);
      // Two masters with one epoch would have to settle it between them first.
      await client.cluster('SET-CONFIG-EPOCH', place + 1);
    });
  }
  const servers = [...masters, ...replicas];
  for (const [place, server] of servers.entries()) {
    await askRedis(server, async (client) => {
      // Everyone meets everyone: nobody waits until gossip has told of the others.
      for (const [other, { port }] of servers.entries()) {
        if (other > place) await client.call('CLUSTER', 'MEET', '127.0.0.1', port, busPorts[other]!);
      }
    });
  }
  const deadline = performance.now() + formsWithinMs;
  const leftMs = () => deadline - performance.now();
  for (const [place, replica] of replicas.entries()) {
    const masterId = await askRedis(masters[place]!, (client) => client.cluster('MYID'));
    await waitUntil({
      what: `the replica at place ${place} follows its master`,
      isSo: async () => (await askRedis(replica, (client) => client.cluster('REPLICATE', masterId))) === 'OK',
      withinMs: leftMs(),
    });
  }
  await waitUntil({
    what: 'the Redis Cluster is formed',
    isSo: () => isFormed(masters, replicas),
    withinMs: leftMs(),
  });
}

async function isFormed(masters: readonly RedisServer[], replicas: readonly RedisServer[]): Promise<boolean> {
  for (const server of [...masters, ...replicas]) {
    for (const place of masters.keys()) {
      if (!(await serves(server, place, masters[place]!.port))) return false;
    }
  }
  for (const replica of replicas) {
    const info = await askRedis(replica, (client) => client.info('replication'));
    if (!/master_link_status:up/.test(info)) return false;
  }
  return true;
}

/** Whether a node serves, and takes the one on that port for the master of the slots at that place. */
async function serves(server: RedisServer, place: number, port: number): Promise<boolean> {
  return await askRedis(server, async (client) => {
    const info = await client.cluster('INFO');
    const ranges = (await client.cluster('SLOTS')) as unknown as readonly SlotRange[];
    const range = ranges.find(([from]) => from === firstSlotAt(place));
    return /cluster_state:ok/.test(info) && range?.[2][1] === port;
  });
}

/** First slot, last slot, the master's address, those of its replicas. */
type SlotRange = readonly [number, number, readonly [string, number, string]];
