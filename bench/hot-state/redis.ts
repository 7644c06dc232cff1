import type { HotState } from '../../src/hot-state/hot-state.ts';
import { connectRedis, type RedisClient } from '../../src/hot-state/redis/connect.ts';
import { createRedisHotState } from '../../src/hot-state/redis/redis.ts';
import { loadScripts } from '../../src/hot-state/redis/scripts.ts';
import { startRedis } from '../../test/support/services/redis.ts';
import { startedOn } from '../http/pinned.ts';

export interface RedisHotState {
  readonly client: RedisClient;
  readonly hotState: HotState;
}

const failOnFault = (what: unknown, error?: unknown) => {
  throw new Error(String(what), { cause: error });
};

/** As the gateway has it, in a Redis of its own. */
export async function openRedisHotState(undo: AsyncDisposableStack): Promise<RedisHotState> {
  const server = await startedOn('others', () => startRedis());
  undo.defer(() => server.stop());
  const client = await connectRedis({ address: { kind: 'single', url: server.url }, onError: failOnFault });
  undo.defer(() => client.disconnect());
  return { client, hotState: createRedisHotState({ run: await loadScripts(client), onFault: failOnFault }) };
}

export async function usedBytes(client: RedisClient): Promise<number> {
  const info = String(await client.call('INFO', 'memory'));
  return Number(/used_memory:(\d+)/.exec(info)?.[1]);
}

export async function resetScriptTimes(client: RedisClient): Promise<void> {
  await client.call('CONFIG', 'RESETSTAT');
}

/** Microseconds of a script in Redis itself, since they were reset. */
export async function scriptMicros(client: RedisClient): Promise<number> {
  const stats = String(await client.call('INFO', 'commandstats'));
  const [, calls, micros] = /cmdstat_evalsha:calls=(\d+),usec=(\d+)/.exec(stats) ?? [];
  return Number(micros) / Number(calls);
}
