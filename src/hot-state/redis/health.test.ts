import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RedisServer, startRedis } from '../../../test/support/services/redis.ts';
import { startRedisCluster } from '../../../test/support/services/redis-cluster.ts';
import { connectRedis, mastersOf, type RedisClient } from './connect.ts';
import { createRedisHealth, type RedisHealth } from './health.ts';
import { readScriptTexts } from './script-texts.ts';
import { loadScripts } from './scripts.ts';

let undo: AsyncDisposableStack;
let server: RedisServer;
let client: RedisClient;
let health: RedisHealth;

beforeEach(async () => {
  undo = new AsyncDisposableStack();
  server = await startRedis();
  undo.defer(() => server.stop());
  client = await open(server.url);
  health = createRedisHealth(client, readScriptTexts());
});
afterEach(() => undo.disposeAsync());

async function open(url: string): Promise<RedisClient> {
  const opened = await connectRedis({
    address: { kind: 'single', url },
    commandTimeoutMs: 300,
    onError: () => undefined,
  });
  undo.defer(() => opened.disconnect());
  await loadScripts(opened);
  return opened;
}

it('is well where every script is loaded, which it knows by the names that Redis has for them', async () => {
  expect(await health.servers()).toBeNull();
  expect(await health.scripts()).toBeNull();
  expect(readScriptTexts().length).toBeGreaterThan(0);
});

it('says which scripts are missing, and has loaded them by the next time', async () => {
  await client.script('FLUSH');
  const count = readScriptTexts().length;
  expect(await health.scripts()).toBe(
    `${count} of ${count} scripts were missing and have been loaded again.`,
  );
  expect(await health.scripts()).toBeNull();
});

it('says that Redis may drop holds, and what to do, as long as that is so', async () => {
  await client.config('SET', 'maxmemory-policy', 'volatile-ttl');
  expect(await health.servers()).toMatch(/volatile-ttl.*redis-cli config set maxmemory-policy noeviction/);
  await client.config('SET', 'maxmemory-policy', 'noeviction');
  expect(await health.servers()).toBeNull();
});

it('fails while Redis refuses what every script does, for want of memory, replicas or rights', async () => {
  for (const setting of ['maxmemory', 'min-replicas-to-write'] as const) {
    await client.config('SET', setting, '1');
    await expect(health.servers()).rejects.toThrow(/OOM|NOREPLICAS/);
    await client.config('SET', setting, '0');
    expect(await health.servers()).toBeNull();
  }
  await client.call('ACL', 'SETUSER', 'default', 'resetkeys', '~other:*');
  await expect(health.servers()).rejects.toThrow('NOPERM');
});

it('fails while Redis takes no writes', async () => {
  await client.replicaof('127.0.0.1', 1);
  await expect(health.servers()).rejects.toThrow('is a replica');
});

it('fails while Redis does not answer, and while it is gone', async () => {
  process.kill(server.pid, 'SIGSTOP');
  await expect(health.servers()).rejects.toThrow('timed out');
  process.kill(server.pid, 'SIGCONT');
  await server.stop();
  await expect.poll(() => client.status).not.toBe('ready');
  await expect(health.servers()).rejects.toThrow('not connected');
  await expect(health.scripts()).rejects.toThrow('not connected');
});

it('asks every master of a Cluster, and tells which one is in trouble', async () => {
  const cluster = await startRedisCluster();
  undo.defer(() => cluster.stop());
  const address = { kind: 'cluster', nodes: cluster.nodes, password: null } as const;
  const opened = await connectRedis({ address, commandTimeoutMs: 300, onError: () => undefined });
  undo.defer(() => opened.disconnect());
  await loadScripts(opened);
  const all = createRedisHealth(opened, readScriptTexts());
  expect(await all.servers()).toBeNull();
  expect(await all.scripts()).toBeNull();
  const [first, second] = cluster.nodes.map(({ port }) => new Redis(port));
  undo.defer(() => first!.disconnect());
  undo.defer(() => second!.disconnect());
  await first!.script('FLUSH');
  await second!.config('SET', 'maxmemory-policy', 'allkeys-lru');
  expect(await all.scripts()).toMatch(
    new RegExp(`^127\\.0\\.0\\.1:${cluster.nodes[0]!.port}: \\d+ of \\d+ scripts`),
  );
  expect(await all.servers()).toMatch(
    new RegExp(`^127\\.0\\.0\\.1:${cluster.nodes[1]!.port}: .*allkeys-lru`),
  );
  expect(mastersOf(opened)).toHaveLength(3);
});
