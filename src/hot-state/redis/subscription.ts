import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, type Redis } from 'ioredis';
import { createSubscriber, type RedisAddress, type RedisClient, type RedisNode } from './client.ts';
import { withoutCommand } from './reasons.ts';

export interface Listener {
  readonly channel: string;
  /** Each time that listening begins: what was published before may have been missed. */
  readonly onListening: () => void;
  readonly onMessage: (message: string) => void;
  /** Listening failed or ended; it begins again by itself. Without passwords. */
  readonly onError: (error: Error) => void;
}

export interface SubscriptionOptions extends Listener {
  /** A connection that isn't open yet, for the attempt of this number. */
  readonly connect: (attempt: number) => Redis;
}

export interface Subscription {
  close(): Promise<void>;
}

/** A connection that died without a word is noticed after this long and the time of a command. */
const pingEveryMs = 1_000;
const firstPauseMs = 50;
const longestPauseMs = 1_000;

/** Listens to a channel on a connection of its own until it is closed, with a new one when one breaks. */
export function subscribe(options: SubscriptionOptions): Subscription {
  const closing = new AbortController();
  const listening = listenAgainAndAgain(options, closing.signal);
  return {
    close: async () => {
      closing.abort();
      await listening;
    },
  };
}

async function listenAgainAndAgain(options: SubscriptionOptions, closed: AbortSignal): Promise<void> {
  let failures = 0;
  for (let attempt = 0; !closed.aborted; attempt++) {
    const began = await listen(options, attempt, closed).catch((error: unknown) => {
      if (!closed.aborted) options.onError(withoutCommand(error));
      return false;
    });
    failures = began ? 0 : failures + 1;
    await pause(Math.min(firstPauseMs * 2 ** failures, longestPauseMs), closed);
  }
}

/** Ends with its connection. Returns whether it had begun, and rejects where it hadn't. */
async function listen(options: SubscriptionOptions, attempt: number, closed: AbortSignal): Promise<boolean> {
  const { connect, channel, onListening, onMessage, onError } = options;
  const client = connect(attempt);
  let trouble: Error | null = null;
  client.on('error', (error: Error) => {
    trouble = error;
  });
  client.on('message', (_, message) => onMessage(message));
  try {
    await unlessClosed(client.connect(), closed);
    await unlessClosed(client.subscribe(channel), closed);
  } catch (error) {
    client.disconnect();
    throw trouble ?? error;
  }
  onListening();
  try {
    await pingUntilLost(client, closed);
  } catch (error) {
    if (!closed.aborted) onError(withoutCommand(trouble ?? error));
  } finally {
    client.disconnect();
  }
  return true;
}

async function pingUntilLost(client: Redis, closed: AbortSignal): Promise<never> {
  const lost = new AbortController();
  client.once('end', () => lost.abort());
  for (;;) {
    await unlessClosed(client.ping(), closed);
    await pause(pingEveryMs, AbortSignal.any([lost.signal, closed]));
  }
}

/** A server that hangs may take its time, and who ends doesn't wait for it. */
async function unlessClosed<T>(work: Promise<T>, closed: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const end = () => reject(new Error('closed'));
  if (closed.aborted) end();
  closed.addEventListener('abort', end);
  try {
    return await Promise.race([work, promise]);
  } finally {
    closed.removeEventListener('abort', end);
    work.catch(() => undefined);
  }
}

async function pause(ms: number, until: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: until }).catch(() => undefined);
}

const defaultCommandTimeoutMs = 1_000;

export interface RedisSubscriptionOptions extends Listener {
  readonly address: RedisAddress;
  /** The client for commands: in a Cluster it knows which nodes there are now. */
  readonly client: RedisClient;
  readonly commandTimeoutMs?: number;
}

/** Listens where the client's commands go, to another node of a Cluster whenever one is lost. */
export function subscribeToRedis(options: RedisSubscriptionOptions): Subscription {
  const { address, client, commandTimeoutMs = defaultCommandTimeoutMs, ...listener } = options;
  return subscribe({
    ...listener,
    connect: (attempt) => {
      const nodes = nodesOf(client);
      return createSubscriber({ address, commandTimeoutMs }, nodes[attempt % nodes.length] ?? null);
    },
  });
}

/** The nodes of a Cluster as its client knows them; none of a Redis that isn't one. */
function nodesOf(client: RedisClient): readonly RedisNode[] {
  if (!(client instanceof Cluster)) return [];
  return client
    .nodes()
    .flatMap(({ options: { host, port } }) =>
      host === undefined || port === undefined ? [] : [{ host, port }],
    );
}
