import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askRedis } from './ask-redis.ts';
import { type RedisServer, type RedisSettings, startRedis } from './redis.ts';

let undo: AsyncDisposableStack;

beforeEach(() => {
  undo = new AsyncDisposableStack();
});
afterEach(() => undo.disposeAsync());

async function start(settings?: RedisSettings): Promise<RedisServer> {
  const server = await startRedis(settings);
  undo.defer(() => server.stop());
  return server;
}

const set = (server: RedisServer) => askRedis(server, (client) => client.set('name', 'value'));
const get = (server: RedisServer) => askRedis(server, (client) => client.get('name'));

describe('a Redis of a test', () => {
  it('comes back from a crash on its port, as another process, and empty', async () => {
    const server = await start();
    const { port, pid } = server;
    await set(server);
    await server.crash();
    expect(server.isRunning).toBe(false);
    await expect(get(server)).rejects.toThrow();
    await server.restart();
    expect(server).toMatchObject({ port, isRunning: true });
    expect(server.pid).not.toBe(pid);
    expect(await get(server)).toBeNull();
  });

  it('keeps across a crash what its settings persist', async () => {
    const server = await start({ appendonly: 'yes', appendfsync: 'always' });
    await set(server);
    await server.crash();
    await server.restart();
    expect(await get(server)).toBe('value');
  });

  it('answers nobody while frozen, and has lost nothing after', async () => {
    const server = await start();
    await set(server);
    await server.freeze();
    await expect(get(server)).rejects.toThrow(/timed out/);
    await server.thaw();
    expect(await get(server)).toBe('value');
  });

  it('is gone when stopped, running, frozen or crashed', async () => {
    const [running, frozen, crashed] = [await start(), await start(), await start()];
    await frozen.freeze();
    await crashed.crash();
    for (const server of [running, frozen, crashed]) {
      await server.stop();
      expect(server.isRunning).toBe(false);
      await expect(get(server)).rejects.toThrow();
    }
  });

  it('is told with what it printed where it does not start', async () => {
    await expect(start({ 'maxmemory-policy': 'no-such-policy' })).rejects.toThrow(
      /redis-server ended.*no-such-policy/s,
    );
  });

  it('takes a password', async () => {
    const server = await start({ requirepass: 'planted' });
    await expect(get(server)).rejects.toThrow(/NOAUTH/);
  });
});
