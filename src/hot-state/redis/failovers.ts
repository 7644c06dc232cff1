import type { Redis } from 'ioredis';
import { createSentinelSubscriber, type SentinelAddress } from './client.ts';
import { subscribe } from './subscription.ts';

/** Says "<name> <old host> <old port> <new host> <new port>" when another server is the master. */
const channel = '+switch-master';

export interface FailoverOptions {
  readonly client: Redis;
  readonly address: SentinelAddress;
  readonly commandTimeoutMs: number;
}

/**
 * Has the client leave its master as soon as any sentinel names another one, until it is disconnected: a
 * master that was replaced may still answer, and two would admit from one balance.
 */
export function followFailovers({ client, address, commandTimeoutMs }: FailoverOptions): void {
  let last = '';
  const leave = (message: string) => {
    // Every sentinel says it, and the first one is enough.
    if (message === last || message.split(' ', 1)[0] !== address.name) return;
    last = message;
    client.disconnect(true);
  };
  const subscriptions = address.sentinels.map((node) =>
    subscribe({
      connect: () => createSentinelSubscriber({ address, commandTimeoutMs }, node),
      channel,
      onListening: () => undefined,
      onMessage: leave,
      // A sentinel that is away is no trouble as long as another one is there, and the client says if not.
      onError: () => undefined,
    }),
  );
  client.once('end', () => {
    for (const subscription of subscriptions) void subscription.close();
  });
}
