import { afterAll, beforeAll } from 'vitest';
import { connectRedis, type RedisClient } from '../../src/hot-state/redis/connect.ts';
import { loadScripts, type RunScript } from '../../src/hot-state/redis/scripts.ts';
import { type RedisServer, startRedis } from './services/redis.ts';

export interface RedisInUse {
  readonly server: RedisServer;
  readonly client: RedisClient;
  readonly run: RunScript;
}

/** Where a test expects no trouble. */
export function failOnFault(what: unknown, error?: unknown): never {
  throw new Error(`${what}`, { cause: error });
}

/** A Redis of the test file's own, with the scripts loaded. Its members are there once the tests run. */
export function useRedis(): RedisInUse {
  let inUse: RedisInUse;
  beforeAll(async () => {
    const server = await startRedis();
    const client = await connectRedis({
      address: { kind: 'single', url: server.url },
      onError: failOnFault,
    });
    inUse = { server, client, run: await loadScripts(client) };
  });
  afterAll(async () => {
    inUse.client.disconnect();
    await inUse.server.stop();
  });
  return {
    get server() {
      return inUse.server;
    },
    get client() {
      return inUse.client;
    },
    get run() {
      return inUse.run;
    },
  };
}
