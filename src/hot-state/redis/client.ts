import { Cluster, Redis, type RedisOptions } from 'ioredis';

export type RedisClient = Redis | Cluster;

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** Whichever server the sentinels call the master of this name. */
export interface SentinelAddress {
  readonly kind: 'sentinel';
  readonly sentinels: readonly RedisNode[];
  readonly name: string;
  readonly sentinelPassword: string | null;
  readonly password: string | null;
  readonly db: number;
}

export type RedisAddress =
  /** `redis://` or, with TLS, `rediss://`, with password and database. */
  | { readonly kind: 'single'; readonly url: string }
  | SentinelAddress
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly RedisNode[];
      readonly password: string | null;
    };

export interface ClientOptions {
  readonly address: RedisAddress;
  readonly commandTimeoutMs: number;
}

const firstReconnectPauseMs = 50;
const longestReconnectPauseMs = 1_000;
/** A server that swallows commands without an answer so many timeouts long is connected to anew. */
const silentTimeouts = 3;
/** A command that is sent from node to node, or whose node is away, has its answer after half a second at most. */
const maxRedirections = 6;
/** How often the Cluster is asked who its masters are, where no redirection tells. */
const slotsRefreshIntervalMs = 5_000;

const pauseMs = (times: number) => Math.min(firstReconnectPauseMs * 2 ** times, longestReconnectPauseMs);

/** A master that has become a replica in place: the connection is to another server's role now. */
const isDemoted = (error: Error) => error.message.startsWith('READONLY');

const passwordOf = (password: string | null) => (password === null ? {} : { password });

/** Nothing waits for a connection that isn't there, and what was sent is waited for so long. */
function commandOptions(commandTimeoutMs: number) {
  return {
    commandTimeout: commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    socketTimeout: silentTimeouts * commandTimeoutMs,
    maxRetriesPerRequest: 1,
  } satisfies RedisOptions;
}

function sentinelOptions(address: SentinelAddress, commandTimeoutMs: number) {
  const { sentinels, name, sentinelPassword, password, db } = address;
  return {
    sentinels: sentinels.map(({ host, port }) => ({ host, port })),
    name,
    db,
    ...passwordOf(password),
    ...(sentinelPassword === null ? {} : { sentinelPassword }),
    sentinelCommandTimeout: commandTimeoutMs,
  } satisfies RedisOptions;
}

/** For commands. It connects when it is told to, and from then on again by itself. */
export function createClient({ address, commandTimeoutMs }: ClientOptions): RedisClient {
  const commands = commandOptions(commandTimeoutMs);
  const common = { enableOfflineQueue: false, enableAutoPipelining: true, lazyConnect: true };
  if (address.kind === 'cluster') {
    return new Cluster([...address.nodes], {
      ...common,
      clusterRetryStrategy: pauseMs,
      maxRedirections,
      slotsRefreshTimeout: commandTimeoutMs,
      slotsRefreshInterval: slotsRefreshIntervalMs,
      redisOptions: { ...commands, ...passwordOf(address.password) },
    });
  }
  const options = { ...commands, ...common, retryStrategy: pauseMs, reconnectOnError: isDemoted };
  if (address.kind === 'single') return new Redis(address.url, options);
  let wasReady = false;
  const client = new Redis({
    ...options,
    ...sentinelOptions(address, commandTimeoutMs),
    // Ended without it, a client never connects again; at the start the caller decides that.
    sentinelRetryStrategy: (times) => (wasReady ? pauseMs(times) : null),
  });
  client.once('ready', () => {
    wasReady = true;
  });
  return client;
}

/** One subscription ends with its connection: who listens makes another one and knows then that it has missed something. */
function subscriberOptions(commandTimeoutMs: number) {
  return {
    commandTimeout: commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    enableOfflineQueue: false,
    lazyConnect: true,
    autoResubscribe: false,
    retryStrategy: null,
  } satisfies RedisOptions;
}

/** For one subscription. `node` is where to listen in a Cluster, whose nodes pass on all that is published. */
export function createSubscriber(
  { address, commandTimeoutMs }: ClientOptions,
  node: RedisNode | null,
): Redis {
  const options = subscriberOptions(commandTimeoutMs);
  switch (address.kind) {
    case 'single':
      return new Redis(address.url, options);
    case 'sentinel':
      return new Redis({
        ...options,
        ...sentinelOptions(address, commandTimeoutMs),
        sentinelRetryStrategy: () => null,
      });
    case 'cluster':
      return new Redis({ ...options, ...(node ?? address.nodes[0]), ...passwordOf(address.password) });
  }
}

interface SentinelClientOptions extends ClientOptions {
  readonly address: SentinelAddress;
}

/** For one subscription at a sentinel itself. */
export function createSentinelSubscriber(
  { address, commandTimeoutMs }: SentinelClientOptions,
  { host, port }: RedisNode,
): Redis {
  const options = subscriberOptions(commandTimeoutMs);
  return new Redis({ ...options, host, port, ...passwordOf(address.sentinelPassword) });
}
