import type { Logger } from 'pino';
import type { Channels } from '../catalog/redis-invalidation.ts';
import type { RedisConfig } from '../config/redis.ts';
import { systemClock } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import type { HotState } from '../hot-state/hot-state.ts';
import { createMemoryHotState } from '../hot-state/memory.ts';
import {
  connectRedis,
  mastersOf,
  type RedisAddress,
  type RedisClient,
  unusable,
} from '../hot-state/redis/connect.ts';
import { createRedisHealth } from '../hot-state/redis/health.ts';
import { isMissingRight, requireWrites } from '../hot-state/redis/probe.ts';
import { reasonOf } from '../hot-state/redis/reasons.ts';
import { createRedisHotState } from '../hot-state/redis/redis.ts';
import { readScriptTexts } from '../hot-state/redis/script-texts.ts';
import { loadScripts, type RunScript, timedScripts } from '../hot-state/redis/scripts.ts';
import { subscribeToRedis } from '../hot-state/redis/subscription.ts';
import type { Part } from '../observability/health.ts';
import type { Watch } from './watch.ts';

/** What Redis is used for beside admission. */
export interface SharedRedis {
  readonly channels: Channels;
  readonly health: Part;
  readonly scriptsHealth: Part;
}

export interface OpenHotState {
  readonly hotState: HotState;
  /** Null where hot state is in memory, and so of this process alone. */
  readonly redis: SharedRedis | null;
}

/** @throws Fault HOT_STATE_UNAVAILABLE that says in its message why Redis can't be used */
export async function openHotState(
  address: RedisConfig | null,
  { log, observer }: Watch,
  undo: AsyncDisposableStack,
): Promise<OpenHotState> {
  if (address === null) return { hotState: createMemoryHotState({ clock: systemClock }), redis: null };
  const client = await openRedis(address, log, undo);
  const run = timedScripts(await loadOrExplain(client, address), observer.scriptRun);
  await requireRights(client, address);
  const hotState = createRedisHotState({
    run,
    onFault: (what, error) => log.error({ err: error }, what),
  });
  undo.defer(() => hotState.close());
  const health = createRedisHealth(client, readScriptTexts());
  return {
    hotState,
    redis: {
      channels: channelsOf(client, address, log),
      health: { name: `redis (${address.kind})`, ask: health.servers },
      scriptsHealth: { name: 'in Redis', ask: health.scripts },
    },
  };
}

/** A connection for commands, closed with the stack. */
export async function openRedis(
  address: RedisAddress,
  log: Pick<Logger, 'warn'>,
  undo: AsyncDisposableStack,
): Promise<RedisClient> {
  const client = await connectRedis({
    address,
    onError: toLog(log, 'a connection to Redis'),
  });
  undo.defer(() => client.disconnect());
  return client;
}

async function loadOrExplain(client: RedisClient, address: RedisAddress): Promise<RunScript> {
  try {
    return await loadScripts(client);
  } catch (error) {
    throw error instanceof Fault && error.cause !== undefined
      ? unusable(address, `it takes no scripts: ${reasonOf(error.cause)}`)
      : error;
  }
}

/** Found at the start, and not by every request: it connects, and says that it is well. */
async function requireRights(client: RedisClient, address: RedisAddress): Promise<void> {
  for (const node of mastersOf(client)) {
    await requireWrites(node).catch((error) => {
      if (isMissingRight(error)) throw unusable(address, reasonOf(error));
    });
  }
}

function channelsOf(client: RedisClient, address: RedisAddress, log: Logger): Channels {
  return {
    publish: (channel, message) => client.publish(channel, message),
    subscribe: (options) =>
      subscribeToRedis({
        ...options,
        address,
        client,
        onError: toLog(log, 'listening to Redis'),
      }),
  };
}

/** A server that is away is tried again every second, and says the same each time. */
const sameAgainAfterMs = 10_000;

function toLog(log: Pick<Logger, 'warn'>, what: string): (error: Error) => void {
  let last = { message: '', atMs: Number.NEGATIVE_INFINITY };
  return (error) => {
    const atMs = systemClock.monotonic();
    if (error.message === last.message && atMs - last.atMs < sameAgainAfterMs) return;
    last = { message: error.message, atMs };
    log.warn({ err: error }, what);
  };
}
