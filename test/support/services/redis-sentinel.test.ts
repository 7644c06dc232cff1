import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askRedis } from './ask-redis.ts';
import { type RedisSentinel, startRedisSentinel } from './redis-sentinel.ts';

let sentinel: RedisSentinel;

beforeAll(async () => {
  sentinel = await startRedisSentinel();
});
afterAll(() => sentinel.stop());

/** As clients do: the sentinels are asked where the master is. */
async function throughSentinels<Answer>(question: (client: Redis) => Promise<Answer>): Promise<Answer> {
  const client = new Redis({ sentinels: [...sentinel.addresses], name: sentinel.name });
  client.on('error', () => undefined);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

const portThroughSentinels = () =>
  throughSentinels(async (client) => Number(((await client.config('GET', 'port')) as string[])[1]));

describe('a Redis with sentinels of a test', () => {
  it('has a master that three sentinels name, and a replica with what the master has', async () => {
    expect(sentinel.addresses).toHaveLength(3);
    expect(await portThroughSentinels()).toBe(sentinel.master.port);
    await throughSentinels((client) => client.set('name', 'value'));
    await expect.poll(() => askRedis(sentinel.replica, (client) => client.get('name'))).toBe('value');
    await expect(askRedis(sentinel.replica, (client) => client.set('name', 'other'))).rejects.toThrow(
      /READONLY/,
    );
  });

  it('promotes the replica of a crashed master, which then serves', async () => {
    await sentinel.master.crash();
    await sentinel.promoted();
    expect(await portThroughSentinels()).toBe(sentinel.replica.port);
    expect(await throughSentinels((client) => client.get('name'))).toBe('value');
    expect(await throughSentinels((client) => client.set('name', 'new'))).toBe('OK');
  });
});
