import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RedisServer, startRedis } from '../../../test/support/services/redis.ts';
import { connectRedis, isReplica, type RedisAddress, type RedisClient } from './connect.ts';

const commandTimeoutMs = 300;
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

interface Connected {
  readonly client: RedisClient;
  readonly errors: Error[];
}

async function connect(address: RedisAddress): Promise<Connected> {
  const errors: Error[] = [];
  const client = await connectRedis({ address, commandTimeoutMs, onError: (error) => errors.push(error) });
  undo.defer(() => client.disconnect());
  return { client, errors };
}

const single = (url: string) => ({ kind: 'single', url }) as const;
const sentinel = (port: number) => ({
  kind: 'sentinel' as const,
  sentinels: [{ host: '127.0.0.1', port }],
  name: 'gw',
  password: 'planted',
  sentinelPassword: 'planted',
  db: 0,
});
const cluster = (port: number) => ({
  kind: 'cluster' as const,
  nodes: [{ host: '127.0.0.1', port }],
  password: 'planted',
});

/** What is said of a failure, whole: message, cause, and whatever a log would print of it. */
async function failure(address: RedisAddress) {
  const error = await connect(address).then(
    () => null,
    (thrown: Error) => thrown,
  );
  expect(error).toMatchObject({ code: 'HOT_STATE_UNAVAILABLE' });
  expect(error?.cause).toBeUndefined();
  expect(JSON.stringify({ ...error, message: error?.message, stack: error?.stack })).not.toContain('planted');
  return error?.message;
}

describe('a Redis that can not be used', () => {
  it('is told with its place and the reason, whatever kind it is', async () => {
    expect(await failure(single('redis://:planted@127.0.0.1:1/2'))).toBe(
      "Redis at 127.0.0.1:1 can't be used as hot state: connect ECONNREFUSED 127.0.0.1:1",
    );
    expect(await failure(sentinel(1))).toMatch(/^Redis "gw" of the sentinels 127\.0\.0\.1:1 can't be used/);
    expect(await failure(cluster(1))).toMatch(/^Redis Cluster at 127\.0\.0\.1:1 can't be used/);
  });

  it('is told by what it says itself', async () => {
    const { port } = await start({ requirepass: 'right' });
    expect(await failure(single(`redis://:planted@127.0.0.1:${port}`))).toContain('WRONGPASS');
    expect(await failure(single(`redis://127.0.0.1:${port}`))).toContain('NOAUTH');
    expect(await failure(single(`redis://:right@127.0.0.1:${port}/99`))).toContain(
      'DB index is out of range',
    );
    expect(await failure({ ...cluster(port), password: 'right' })).toContain('cluster support disabled');
    expect(await failure({ ...sentinel(port), sentinelPassword: 'right' })).toContain('unknown command');
  });

  it('is told when it is a replica, which takes no writes', async () => {
    const master = await start();
    const replica = await start({ replicaof: `127.0.0.1 ${master.port}` });
    expect(await failure(single(replica.url))).toContain('is a replica and takes no writes');
    expect(isReplica('role:master\r\n')).toBe(false);
  });

  it('is told in bounded time when it accepts connections and says nothing', async () => {
    const { port, pid } = await start();
    process.kill(pid, 'SIGSTOP');
    for (const address of [single(`redis://127.0.0.1:${port}`), sentinel(port), cluster(port)]) {
      await failure(address);
    }
  });
});

describe('a Redis that was connected', () => {
  it('is asked again after it came back, and told when it is not fit any more', async () => {
    const server = await start();
    const { client, errors } = await connect(single(server.url));
    await server.stop();
    await start({ port: `${server.port}`, 'maxmemory-policy': 'allkeys-lru' });
    await expect
      .poll(() => errors.map(({ message }) => message).join(), { timeout: 10_000 })
      .toContain('maxmemory-policy allkeys-lru');
    // It serves all the same: who watches decides.
    expect(await client.set('a', 'b')).toBe('OK');
  });

  it('is told without the password when it takes it no more', async () => {
    const server = await start({ requirepass: 'planted' });
    const { errors } = await connect(single(`redis://:planted@127.0.0.1:${server.port}`));
    const admin = new Redis(server.port, '127.0.0.1', { password: 'planted' });
    undo.defer(() => admin.disconnect());
    await admin.config('SET', 'requirepass', 'changed');
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await expect
      .poll(() => errors.map(({ message }) => message).join(), { timeout: 10_000 })
      .toContain('WRONGPASS');
    for (const error of errors)
      expect(JSON.stringify({ ...error, stack: error.stack })).not.toContain('planted');
  });

  it('is connected to anew when its server became a replica: its place may be another server’s', async () => {
    const [server, other] = [await start(), await start()];
    const { client } = await connect(single(server.url));
    const admin = new Redis(server.port);
    undo.defer(() => admin.disconnect());
    const before = await client.client('ID');
    await admin.replicaof('127.0.0.1', other.port);
    await expect(client.set('a', 'b')).rejects.toThrow('READONLY');
    await admin.replicaof('NO', 'ONE');
    await expect.poll(() => client.set('a', 'b').catch(() => null), { timeout: 10_000 }).toBe('OK');
    expect(await client.client('ID')).not.toBe(before);
  });
});
