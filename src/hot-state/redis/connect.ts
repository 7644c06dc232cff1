import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, type Redis } from 'ioredis';
import { Fault } from '../../domain/errors.ts';
import { createClient, type RedisAddress, type RedisClient } from './client.ts';
import { followFailovers } from './failovers.ts';
import { reasonOf, withoutCommand, worstOfSentinels } from './reasons.ts';

export type { RedisAddress, RedisClient } from './client.ts';

export interface RedisConnectOptions {
  readonly address: RedisAddress;
  /** How long a command is waited for. It may wait as long again behind the ones before it. */
  readonly commandTimeoutMs?: number;
  /**
   * Trouble with a connection, which is made again by itself, and a server that isn't fit any more after that.
   * Without passwords.
   */
  readonly onError: (error: Error) => void;
}

const defaultCommandTimeoutMs = 1_000;
const connectsWithinMs = 5_000;
const firstRedisVersion = 7;

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
 * Connects, and checks that the server is fit to hold hot state, now and after each time that it has
 * connected again. Commands that meet no connection fail at once; those whose connection breaks are sent
 * again once, which every script allows.
 * @throws Fault HOT_STATE_UNAVAILABLE when it can't be reached or isn't fit, with what to do about it
 */
export async function connectRedis(options: RedisConnectOptions): Promise<RedisClient> {
  const { address, commandTimeoutMs = defaultCommandTimeoutMs, onError } = options;
  const client = createClient({ address, commandTimeoutMs });
  const start = watchStart(client);
  try {
    await within(client.connect(), connectsWithinMs);
    await requireFit(client);
    start.requireSound();
  } catch (error) {
    client.disconnect();
    if (error instanceof Fault) throw error;
    throw unusable(address, reasonOf(start.trouble ?? error));
  }
  client.on('error', (error: Error) => onError(withoutCommand(error)));
  recheckFitness(client, onError);
  if (address.kind === 'sentinel' && !(client instanceof Cluster)) {
    followFailovers({ client, address, commandTimeoutMs });
  }
  return client;
}

/** What is told by events while it connects: the rejection itself only says that it didn't. */
function watchStart(client: RedisClient) {
  let error: Error | null = null;
  const ofSentinels: Error[] = [];
  // Left in place: unheard, what comes after a start that failed would be printed, or end the process.
  client.on('error', (it: Error) => {
    error ??= it;
  });
  const onSentinelError = (it: Error) => ofSentinels.push(it);
  client.on('sentinelError', onSentinelError);
  return {
    get trouble() {
      // That no sentinel could be asked says less than why one couldn't.
      return worstOfSentinels(ofSentinels) ?? error;
    },
    /** Its end; a database that isn't there was only told by an event, and another one would be used. */
    requireSound: () => {
      client.off('sentinelError', onSentinelError);
      if (error !== null) throw error;
    },
  };
}

/** With its reason in its message, for whoever starts the process. */
export function unusable(address: RedisAddress, reason: string): Fault {
  return new Fault(
    'HOT_STATE_UNAVAILABLE',
    `Redis ${placeOf(address)} can't be used as hot state: ${reason}`,
  );
}

/** Where it is, without what opens it. */
function placeOf(address: RedisAddress): string {
  const list = (nodes: readonly { host: string; port: number }[]) =>
    nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  switch (address.kind) {
    case 'single':
      return `at ${new URL(address.url).host}`;
    case 'sentinel':
      return `"${address.name}" of the sentinels ${list(address.sentinels)}`;
    case 'cluster':
      return `Cluster at ${list(address.nodes)}`;
  }
}

async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const over = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`no answer within ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
    late.catch(() => undefined);
  }
}

/** The servers that take writes. */
export function mastersOf(client: RedisClient): Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}

async function requireFit(client: RedisClient): Promise<void> {
  for (const node of mastersOf(client)) {
    // INFO and not CONFIG, which hosted Redis refuses.
    const info = await node.info();
    const problem = isReplica(info) ? replicaTakesNoWrites : unfitness(info);
    if (problem !== null) throw new Fault('HOT_STATE_UNAVAILABLE', problem);
  }
}

/** Another server may answer under the same address: a new one, or a replica that was promoted. */
function recheckFitness(client: RedisClient, onError: (error: Error) => void): void {
  const check = () => {
    requireFit(client).catch((error) => {
      // One that can't be reached says so itself.
      if (error instanceof Fault) onError(error);
    });
  };
  client.on('ready', check);
  if (!(client instanceof Cluster)) return;
  let known = namesOf(client);
  client.on('refresh', () => {
    const names = namesOf(client);
    if (names === known) return;
    known = names;
    check();
  });
}

function namesOf(client: RedisClient): string {
  return mastersOf(client).map(nameOf).sort().join();
}

export function nameOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}

function fieldsOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split('\r\n').map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1)];
    }),
  );
}

export const replicaTakesNoWrites =
  'This Redis is a replica and takes no writes. Name its master, or sentinels that know it.';

export function isReplica(info: string): boolean {
  return fieldsOf(info).get('role') === 'slave';
}

/** What keeps a server from holding hot state, by its INFO; null where nothing does. */
export function unfitness(info: string): string | null {
  const fields = fieldsOf(info);
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
