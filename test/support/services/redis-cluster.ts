import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort, type RedisServer, startRedis } from './redis.ts';

export interface RedisCluster {
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  stop(): Promise<void>;
}

const slots = 16_384;
const masters = 3;
const formsWithinMs = 20_000;

/** Three masters on loopback that share the slots, without replicas. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const servers: RedisServer[] = [];
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    for (let index = 0; index < masters; index++) {
      servers.push(
        await startRedis({
          'cluster-enabled': 'yes',
          'cluster-port': `${await freePort()}`,
          'cluster-node-timeout': '5000',
        }),
      );
    }
    await join(servers);
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes: servers.map(({ port }) => ({ host: '127.0.0.1', port })), stop };
}

async function join(servers: readonly RedisServer[]): Promise<void> {
  const clients = servers.map(({ url }) => new Redis(url));
  try {
    const [first, ...others] = clients;
    for (const [index, client] of clients.entries()) {
      const from = Math.ceil((index * slots) / masters);
      const to = Math.ceil(((index + 1) * slots) / masters) - 1;
      await client.cluster('ADDSLOTSRANGE', from, to);
      // Two nodes with one epoch would have to settle it between them first.
      await client.cluster('SET-CONFIG-EPOCH', index + 1);
    }
    for (const [index] of others.entries()) {
      const { port } = servers[index + 1]!;
      const busPort = (await clients[index + 1]!.config('GET', 'cluster-port')) as string[];
      await first!.call('CLUSTER', 'MEET', '127.0.0.1', `${port}`, busPort[1]!);
    }
    const deadline = performance.now() + formsWithinMs;
    for (const client of clients) await formed(client, deadline);
  } finally {
    for (const client of clients) client.disconnect();
  }
}

async function formed(client: Redis, deadline: number): Promise<void> {
  while (performance.now() < deadline) {
    const info = await client.cluster('INFO');
    if (/cluster_state:ok/.test(info) && info.includes(`cluster_known_nodes:${masters}`)) return;
    await sleep(50);
  }
  throw new Error(`the Redis Cluster did not form within ${formsWithinMs} ms`);
}
