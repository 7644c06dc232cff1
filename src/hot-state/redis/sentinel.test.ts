import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freePort } from '../../../test/support/services/free-port.ts';
import { type RedisServer, startRedis } from '../../../test/support/services/redis.ts';
import { connectRedis, type RedisAddress } from './connect.ts';
import { subscribeToRedis } from './subscription.ts';

const name = 'tollgate';
const soon = { timeout: 30_000, interval: 20 };

let undo: AsyncDisposableStack;
let master: RedisServer;
let replica: RedisServer;
let sentinelPort: number;
let sentinel: ChildProcess;

beforeEach(async () => {
  undo = new AsyncDisposableStack();
  master = await startRedis({ requirepass: 'secret', masterauth: 'secret' });
  undo.defer(() => master.stop());
  replica = await startRedis({
    requirepass: 'secret',
    masterauth: 'secret',
    replicaof: `127.0.0.1 ${master.port}`,
    // Not fit for hot state, which nobody asks of a replica before it is master.
    'maxmemory-policy': 'allkeys-lru',
  });
  undo.defer(() => replica.stop());
  await expect.poll(() => ask(master.port, 'INFO', 'replication'), soon).toContain('state=online');
  sentinelPort = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-sentinel-'));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const lines = [
    `bind 127.0.0.1`,
    `port ${sentinelPort}`,
    `dir ${folder}`,
    'requirepass watched',
    `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`,
    `sentinel auth-pass ${name} secret`,
    `sentinel down-after-milliseconds ${name} 500`,
    // One that finds no replica fit, since it has just met it, tries again after twice this time, and not after minutes.
    `sentinel failover-timeout ${name} 2000`,
  ];
  await writeFile(join(folder, 'sentinel.conf'), `${lines.join('\n')}\n`);
  sentinel = spawn('redis-server', [join(folder, 'sentinel.conf'), '--sentinel'], { stdio: 'ignore' });
  undo.defer(async () => {
    if (sentinel.exitCode !== null) return;
    sentinel.kill('SIGKILL');
    await once(sentinel, 'exit');
  });
  const followers = () => ask(sentinelPort, 'SENTINEL', 'MASTER', name).catch(() => '');
  await expect.poll(followers, soon).toMatch(/num-slaves,1,.*/);
});

afterEach(() => undo.disposeAsync());

async function ask(port: number, ...[command, ...args]: [string, ...string[]]): Promise<string> {
  const password = port === sentinelPort ? 'watched' : 'secret';
  const client = new Redis(port, '127.0.0.1', { password, retryStrategy: null });
  client.on('error', () => undefined);
  try {
    return String(await client.call(command, ...args));
  } finally {
    client.disconnect();
  }
}

const address = (changes: object = {}): RedisAddress => ({
  kind: 'sentinel',
  sentinels: [
    { host: '127.0.0.1', port: 1 },
    { host: '127.0.0.1', port: sentinelPort },
  ],
  name,
  sentinelPassword: 'watched',
  password: 'secret',
  db: 1,
  ...changes,
});

it('follows the sentinels to another master, tells that it is not fit, and listens there', async () => {
  const errors: string[] = [];
  const client = await connectRedis({ address: address(), onError: ({ message }) => errors.push(message) });
  undo.defer(() => client.disconnect());
  const heard = { listening: 0, messages: 0 };
  const subscription = subscribeToRedis({
    address: address(),
    channel: 'test:changed',
    client,
    onListening: () => heard.listening++,
    onMessage: () => heard.messages++,
    onError: () => undefined,
  });
  undo.defer(() => subscription.close());
  await expect.poll(() => heard.listening, soon).toBe(1);
  expect(await client.set('a', 'b')).toBe('OK');
  expect(await client.info('server')).toContain(`tcp_port:${master.port}`);

  await master.stop();
  await expect(client.set('a', 'c')).rejects.toThrow();
  await expect.poll(() => client.set('a', 'd').catch(() => null), soon).toBe('OK');
  expect(await client.info('server')).toContain(`tcp_port:${replica.port}`);
  await expect.poll(() => errors.join(), soon).toContain('maxmemory-policy allkeys-lru');
  await expect.poll(() => heard.listening, soon).toBe(2);
  await client.publish('test:changed', 'x');
  await expect.poll(() => heard.messages, soon).toBe(1);
  expect(errors.join()).not.toMatch(/secret|watched/);
});

it('leaves a master that still answers as soon as the sentinels name another one', async () => {
  await ask(replica.port, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  const client = await connectRedis({ address: address(), onError: () => undefined });
  undo.defer(() => client.disconnect());
  // A sentinel takes some seconds to find a replica fit to be promoted.
  const order = () => ask(sentinelPort, 'SENTINEL', 'FAILOVER', name).catch(({ message }) => message);
  await expect.poll(order, { ...soon, interval: 200 }).toBe('OK');
  const place = () => client.info('server').catch(() => '');
  await expect.poll(place, soon).toContain(`tcp_port:${replica.port}`);
  // The sentinels end what was connected to it before it was master, this client too if it was fast.
  await expect.poll(() => client.set('a', 'b').catch(() => null), soon).toBe('OK');
  expect(await place()).toContain(`tcp_port:${replica.port}`);
});

it('connects again after a time without any sentinel', async () => {
  await ask(replica.port, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  const client = await connectRedis({ address: address(), onError: () => undefined });
  undo.defer(() => client.disconnect());
  process.kill(sentinel.pid!, 'SIGSTOP');
  await ask(master.port, 'CLIENT', 'KILL', 'TYPE', 'normal');
  await expect(client.set('a', 'b')).rejects.toThrow();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(client.status).not.toBe('end');
  process.kill(sentinel.pid!, 'SIGCONT');
  await expect.poll(() => client.set('a', 'b').catch(() => null), soon).toBe('OK');
});

it('says that the sentinels know no master of a name', async () => {
  const connecting = connectRedis({ address: address({ name: 'other' }), onError: () => undefined });
  await expect(connecting).rejects.toThrow(
    /^Redis "other" of the sentinels .* can't be used as hot state: .*REDIS_SENTINEL_NAME/,
  );
});
