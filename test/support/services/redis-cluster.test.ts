import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askRedis } from './ask-redis.ts';
import { type RedisCluster, startRedisCluster } from './redis-cluster.ts';

let cluster: RedisCluster;
let client: Cluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
  client = new Cluster([cluster.nodes[0]!], { lazyConnect: true });
  client.on('error', () => undefined);
  await client.connect();
});
afterAll(async () => {
  client.disconnect();
  await cluster.stop();
});

const role = async (server: { readonly port: number }) =>
  /role:(\w+)/.exec(await askRedis(server, (node) => node.info('replication')))?.[1];

/** A name whose slot is at a place. */
async function nameAt(place: number): Promise<string> {
  for (let index = 0; index < 1_000; index++) {
    if ((await cluster.placeOf(`name-${index}`)) === place) return `name-${index}`;
  }
  throw new Error(`no name at place ${place}`);
}

describe('a Redis Cluster of a test', () => {
  it('has three masters that share the slots, with a replica each', async () => {
    expect(await Promise.all(cluster.masters.map(role))).toEqual(['master', 'master', 'master']);
    expect(await Promise.all(cluster.replicas.map(role))).toEqual(['slave', 'slave', 'slave']);
    for (const place of [0, 1, 2]) {
      const name = await nameAt(place);
      await client.set(name, 'value');
      expect(await askRedis(cluster.masters[place]!, (node) => node.get(name))).toBe('value');
      const info = await askRedis(cluster.replicas[place]!, (node) => node.info('replication'));
      expect(info).toContain(`master_port:${cluster.masters[place]!.port}`);
    }
  });

  it('promotes the replica of a crashed master, which then holds what was copied and serves', async () => {
    const name = await nameAt(1);
    await client.set(name, 'kept');
    const copied = () =>
      askRedis(cluster.replicas[1]!, async (node) => {
        await node.readonly();
        return await node.get(name);
      });
    await expect.poll(copied).toBe('kept');
    await cluster.masters[1]!.crash();
    await cluster.promoted(1);
    expect(await role(cluster.replicas[1]!)).toBe('master');
    expect(await client.get(name)).toBe('kept');
    await client.set(name, 'new');
    expect(await askRedis(cluster.replicas[1]!, (node) => node.get(name))).toBe('new');
    // The one that comes back is a replica.
    await cluster.masters[1]!.restart();
    await expect.poll(() => role(cluster.masters[1]!), { timeout: 20_000 }).toBe('slave');
  });
});
