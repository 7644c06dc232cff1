import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RedisServer, startRedis } from './redis.ts';
import { type RedisDoublingProxy, startDoublingProxy } from './redis-doubling-proxy.ts';

let server: RedisServer;
let direct: Redis;
let proxy: RedisDoublingProxy;
let undo: AsyncDisposableStack;

beforeAll(async () => {
  server = await startRedis();
  direct = new Redis(server.port, '127.0.0.1');
});
afterAll(async () => {
  direct.disconnect();
  await server.stop();
});

beforeEach(async () => {
  await direct.flushall();
  undo = new AsyncDisposableStack();
  proxy = await startDoublingProxy(server.port);
  undo.defer(() => proxy.close());
});
afterEach(() => undo.disposeAsync());

function client(protocol: 2 | 3 = 3): Redis {
  const redis = new Redis(proxy.port, '127.0.0.1', { protocol });
  undo.defer(() => redis.disconnect());
  return redis;
}

/** Connected, but without a handshake of its own. */
async function raw(): Promise<{ readonly socket: Socket; received(): string }> {
  const socket = connect(proxy.port, '127.0.0.1').setNoDelay(true);
  undo.defer(() => void socket.destroy());
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  await once(socket, 'connect');
  return { socket, received: () => text };
}

const command = (...words: readonly string[]) =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

describe.each([2, 3] as const)('a doubling proxy, to a client of RESP%i', (protocol) => {
  it('runs a command twice and answers with the second reply', async () => {
    const redis = client(protocol);
    expect(await redis.incr('count')).toBe(2);
    expect(await redis.incr('count')).toBe(4);
    expect(await direct.get('count')).toBe('4');
  });

  it('does so with each of many that are sent at once', async () => {
    const redis = client(protocol);
    const replies = await Promise.all(Array.from({ length: 500 }, () => redis.incr('count')));
    expect(replies).toEqual(Array.from({ length: 500 }, (_, index) => 2 * (index + 1)));
    const pipelined = await redis.pipeline().rpush('list', 'a').lrange('list', 0, -1).llen('list').exec();
    expect(pipelined?.map(([, reply]) => reply)).toEqual([2, ['a', 'a'], 2]);
  });

  it('answers with replies of every shape', async () => {
    const redis = client(protocol);
    const large = 'x'.repeat(3_000_000);
    expect(await redis.set('large', large)).toBe('OK');
    expect(await redis.get('large')).toBe(large);
    expect(await redis.get('nothing')).toBeNull();
    await redis.hset('hash', { a: '1', b: '2' });
    expect(await redis.hgetall('hash')).toEqual({ a: '1', b: '2' });
    expect(await redis.sadd('set', 'a')).toBe(0);
    expect(await redis.smembers('set')).toEqual(['a']);
    expect(await redis.eval('return {1, {"two", {}}, false}', 0)).toEqual([1, ['two', []], null]);
    await expect(redis.incr('hash')).rejects.toThrow(/WRONGTYPE/);
    expect(await redis.zadd('sorted', 1.5, 'a')).toBe(0);
    expect(Number(await redis.zscore('sorted', 'a'))).toBe(1.5);
  });

  it('lets a connection that subscribes hear every message once', async () => {
    const redis = client(protocol);
    const publisher = client(protocol);
    const heard: string[] = [];
    redis.on('message', (_, message) => heard.push(message));
    // Answers that are still due when it subscribes come first.
    const [count, subscribed] = await Promise.all([redis.incr('count'), redis.subscribe('news', 'more')]);
    expect([count, subscribed]).toEqual([2, 2]);
    await direct.publish('news', 'once');
    expect(await publisher.publish('more', 'twice')).toBe(1);
    await direct.publish('news', 'last');
    await expect.poll(() => heard).toEqual(['once', 'twice', 'twice', 'last']);
  });
});

describe('a doubling proxy', () => {
  it('answers a command whose bytes come one by one, and counts it once', async () => {
    const { socket, received } = await raw();
    for (const byte of Buffer.from(command('INCR', 'count') + command('APPEND', 'text', 'ä\r\n'))) {
      socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    await expect.poll(received).toBe(':2\r\n:8\r\n');
    expect(proxy.doubled).toBe(2);
  });

  it('keeps the replies of several connections apart', async () => {
    const clients = Array.from({ length: 5 }, () => client());
    const replies = await Promise.all(
      clients.flatMap((redis, at) => Array.from({ length: 20 }, () => redis.incr(`count-${at}`))),
    );
    expect(replies).toEqual(clients.flatMap(() => Array.from({ length: 20 }, (_, index) => 2 * (index + 1))));
  });

  it('passes on what is sent with and behind a subscription once', async () => {
    const { socket, received } = await raw();
    socket.write(command('INCR', 'count') + command('subscribe', 'news') + command('PING'));
    const subscribed = '*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n';
    await expect.poll(received).toBe(`:2\r\n${subscribed}*2\r\n$4\r\npong\r\n$0\r\n\r\n`);
    expect(proxy.doubled).toBe(1);
  });

  it('does not take a push for an answer', async () => {
    const { socket, received } = await raw();
    const tracking = command('HELLO', '3') + command('CLIENT', 'TRACKING', 'ON') + command('GET', 'watched');
    socket.write(tracking);
    await expect.poll(received).toMatch(/\+OK\r\n_\r\n$/);
    const before = received();
    await direct.set('watched', 'changed');
    socket.write(command('INCR', 'count'));
    await expect.poll(() => received().slice(before.length)).toContain(':2\r\n');
    const rest = received().slice(before.length).replace(':2\r\n', '');
    expect(rest).toBe('>2\r\n$10\r\ninvalidate\r\n*1\r\n$7\r\nwatched\r\n');
  });

  it('ends a connection that speaks another language, and goes on with the others', async () => {
    const { socket } = await raw();
    const ended = once(socket, 'close');
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await ended;
    expect(await client().incr('count')).toBe(2);
  });
});
