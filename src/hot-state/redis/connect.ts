import { Cluster, Redis } from 'ioredis';
import { Fault } from '../../domain/errors.ts';

export type RedisClient = Redis | Cluster;

export type RedisAddress =
  /** `redis://` or, with TLS, `rediss://`, with password and database. */
  | { readonly kind: 'single'; readonly url: string }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly { readonly host: string; readonly port: number }[];
      readonly password: string | null;
    };

export interface RedisConnectOptions {
  readonly address: RedisAddress;
  /** How long a command is waited for. It may wait as long again behind the ones before it. */
  readonly commandTimeoutMs?: number;
  /** Trouble with a connection; it is made again by itself. */
  readonly onError: (error: Error) => void;
}

const firstRedisVersion = 7;
const longestReconnectPauseMs = 1_000;
/** A server that swallows commands without an answer so many timeouts long is connected to anew. */
const silentTimeouts = 3;

export function unavailable(cause: unknown): Fault {
  return new Fault('HOT_STATE_UNAVAILABLE', 'Hot state (Redis) is not available. Nothing was charged.', {
    cause,
  });
}

/** The command was sent, and its answer never came: whether it ran is not known. */
export class ReplyLost extends Fault {
  constructor(cause: unknown) {
    super('HOT_STATE_UNAVAILABLE', 'Hot state (Redis) did not answer. Nothing was charged.', { cause });
  }
}

/**
 * Connects, and checks that the server is fit to hold hot state. Commands that meet no connection fail at
 * once; those whose connection breaks are sent again once, which every script allows.
 * @throws Fault HOT_STATE_UNAVAILABLE when it can't be reached or isn't fit, with what to do about it
 */
export async function connectRedis(options: RedisConnectOptions): Promise<RedisClient> {
  const client = createClient(options);
  client.on('error', options.onError);
  try {
    await client.connect();
    await requireFit(client);
    return client;
  } catch (error) {
    client.disconnect();
    throw error instanceof Fault ? error : unavailable(error);
  }
}

function createClient({ address, commandTimeoutMs = 1_000 }: RedisConnectOptions): RedisClient {
  const retryStrategy = (times: number) => Math.min(50 * 2 ** Math.min(times, 10), longestReconnectPauseMs);
  const redisOptions = {
    commandTimeout: commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    socketTimeout: silentTimeouts * commandTimeoutMs,
    maxRetriesPerRequest: 1,
  };
  const common = { enableOfflineQueue: false, enableAutoPipelining: true, lazyConnect: true };
  if (address.kind === 'single') {
    return new Redis(address.url, { ...redisOptions, ...common, retryStrategy });
  }
  const { nodes, password } = address;
  return new Cluster([...nodes], {
    ...common,
    clusterRetryStrategy: retryStrategy,
    redisOptions: { ...redisOptions, ...(password === null ? {} : { password }) },
  });
}

/** The servers that take writes. */
export function mastersOf(client: RedisClient): Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}

async function requireFit(client: RedisClient): Promise<void> {
  for (const node of mastersOf(client)) {
    // INFO and not CONFIG, which hosted Redis refuses.
    const problem = unfitness(await node.info());
    if (problem !== null) throw new Fault('HOT_STATE_UNAVAILABLE', problem);
  }
}

/** What keeps a server from holding hot state, by its INFO; null where nothing does. */
export function unfitness(info: string): string | null {
  const fields = new Map(
    info.split('\r\n').map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1)];
    }),
  );
  const version = fields.get('redis_version') ?? 'unknown';
  if (!(Number.parseInt(version, 10) >= firstRedisVersion)) {
    return `Redis ${firstRedisVersion} or newer is needed, this is version ${version}.`;
  }
  const policy = fields.get('maxmemory_policy') ?? 'unknown';
  if (policy !== 'noeviction') {
    return (
      `Redis has the maxmemory-policy ${policy} and may drop open holds to make room. ` +
      'Set it to noeviction: redis-cli config set maxmemory-policy noeviction, and in its configuration file.'
    );
  }
  return null;
}
