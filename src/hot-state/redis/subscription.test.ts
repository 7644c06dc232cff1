import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RedisServer, startRedis } from '../../../test/support/services/redis.ts';
import { type RedisCluster, startRedisCluster } from '../../../test/support/services/redis-cluster.ts';
import { startTcpProxy } from '../../../test/support/services/tcp-proxy.ts';
import { createClient, type RedisAddress, type RedisClient } from './client.ts';
import { connectRedis } from './connect.ts';
import { subscribeToRedis } from './subscription.ts';

const channel = 'test:changed';
let undo: AsyncDisposableStack;

beforeEach(() => {
  undo = new AsyncDisposableStack();
});
afterEach(() => undo.disposeAsync());

async function start(settings: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
  const server = await startRedis(settings);
  undo.defer(() => server.stop());
  return server;
}

function listen(
  address: RedisAddress,
  client: RedisClient = createClient({ address, commandTimeoutMs: 300 }),
  commandTimeoutMs = 300,
) {
  const heard = { listening: 0, messages: 0, errors: [] as Error[] };
  const subscription = subscribeToRedis({
    address,
    channel,
    client,
    commandTimeoutMs,
    onListening: () => heard.listening++,
    onMessage: () => heard.messages++,
    onError: (error) => heard.errors.push(error),
  });
  undo.defer(() => subscription.close());
  return { heard, subscription };
}

const soon = { timeout: 15_000, interval: 10 };
const single = (port: number) => ({ kind: 'single', url: `redis://127.0.0.1:${port}` }) as const;

function publisher(port: number): Redis {
  const client = new Redis(port);
  client.on('error', () => undefined);
  undo.defer(() => client.disconnect());
  return client;
}

it('hears what is published', async () => {
  const { port } = await start();
  const { heard } = listen(single(port));
  await expect.poll(() => heard.listening, soon).toBe(1);
  await publisher(port).publish(channel, 'x');
  await publisher(port).publish('another', 'x');
  await expect.poll(() => heard.messages, soon).toBe(1);
  expect(heard.errors).toEqual([]);
});

it('listens again when its server comes back, and says that it does', async () => {
  const server = await start();
  const { heard } = listen(single(server.port));
  await expect.poll(() => heard.listening, soon).toBe(1);
  await server.stop();
  await expect.poll(() => heard.errors.length, soon).toBeGreaterThan(0);
  await start({ port: `${server.port}` });
  await expect.poll(() => heard.listening, soon).toBe(2);
  await publisher(server.port).publish(channel, 'x');
  await expect.poll(() => heard.messages, soon).toBe(1);
});

it('begins to listen when its server comes later than it', async () => {
  const server = await start();
  await server.stop();
  const { heard } = listen(single(server.port));
  await expect.poll(() => heard.errors.length, soon).toBeGreaterThan(1);
  await start({ port: `${server.port}` });
  await expect.poll(() => heard.listening, soon).toBe(1);
});

it('notices a connection that died without a word', async () => {
  const { port } = await start();
  const proxy = await startTcpProxy(port);
  undo.defer(() => proxy.close());
  const { heard } = listen(single(proxy.port));
  await expect.poll(() => heard.listening, soon).toBe(1);
  proxy.replies = 'swallow';
  await expect.poll(() => heard.errors.length, soon).toBeGreaterThan(0);
  proxy.replies = 'pass';
  await expect.poll(() => heard.listening, soon).toBe(2);
});

it('ends when it is closed, connected or not', async () => {
  const { port } = await start();
  const [connected, never] = [listen(single(port)), listen(single(1))];
  await expect.poll(() => connected.heard.listening, soon).toBe(1);
  await connected.subscription.close();
  await never.subscription.close();
  expect(await publisher(port).publish(channel, 'x')).toBe(0);
});

it('ends without waiting for a server that hangs', async () => {
  const { port, pid } = await start();
  const begun = listen(single(port), undefined, 600_000);
  await expect.poll(() => begun.heard.listening, soon).toBe(1);
  process.kill(pid, 'SIGSTOP');
  const hanging = listen(single(port), undefined, 600_000);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  await begun.subscription.close();
  await hanging.subscription.close();
  expect([...begun.heard.errors, ...hanging.heard.errors]).toEqual([]);
});

it('hears in a Cluster what any node was told, and listens to another node when its own is gone', async () => {
  const cluster: RedisCluster = await startRedisCluster();
  undo.defer(() => cluster.stop());
  const address = { kind: 'cluster', nodes: cluster.nodes.slice(0, 1), password: null } as const;
  const client = await connectRedis({ address, onError: () => undefined });
  undo.defer(() => client.disconnect());
  const { heard } = listen(address, client);
  await expect.poll(() => heard.listening, soon).toBe(1);
  const publishers = cluster.nodes.map(({ port }) => publisher(port));
  for (const each of publishers) await each.publish(channel, 'x');
  await expect.poll(() => heard.messages, soon).toBe(cluster.nodes.length);
  const own = await Promise.all(publishers.map((each) => each.pubsub('NUMSUB', channel)));
  const index = own.findIndex((counts) => counts[1] === 1);
  // It has no answer, since it ends the one who would give it.
  publishers[index]?.shutdown('NOSAVE').catch(() => undefined);
  await expect.poll(() => heard.listening, soon).toBe(2);
  await publishers[(index + 1) % publishers.length]?.publish(channel, 'x');
  await expect.poll(() => heard.messages, soon).toBe(cluster.nodes.length + 1);
});
