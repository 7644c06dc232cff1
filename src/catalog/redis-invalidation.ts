import { setTimeout as sleep } from 'node:timers/promises';
import { type AnnouncerOptions, createAnnouncer } from './announcer.ts';
import type { CachedCatalog } from './cached-catalog.ts';
import type { CatalogInvalidation } from './invalidation.ts';

/** What of Redis this needs: its channels forget a message at once, and so does who isn't connected. */
export interface Channels {
  publish(channel: string, message: string): Promise<unknown>;
  subscribe(options: {
    readonly channel: string;
    /** Each time that listening begins: what was published before may have been missed. */
    readonly onListening: () => void;
    readonly onMessage: () => void;
  }): { close(): Promise<void> };
}

/** Each message means that the catalogue has changed; what it says is for who watches. */
const channel = 'gw:catalog:changed';
const message = 'changed';

/** What is left to tell when the process ends is told within this time, or not at all. */
const lastWordMs = 1_000;

type Publishing = Pick<Channels, 'publish'>;

/** For a process that changes the catalogue and doesn't serve it. */
export function createCatalogAnnouncer(channels: Publishing, options: Omit<AnnouncerOptions, 'publish'>) {
  return createAnnouncer({ ...options, publish: () => channels.publish(channel, message) });
}

export interface RedisInvalidationOptions {
  readonly catalog: Pick<CachedCatalog, 'invalidate'>;
  readonly channels: Channels;
  readonly onFault: AnnouncerOptions['onFault'];
}

/** For processes that serve one catalogue and share a Redis. */
export function createRedisInvalidation({
  catalog,
  channels,
  onFault,
}: RedisInvalidationOptions): CatalogInvalidation {
  const invalidate = () => catalog.invalidate();
  const announcer = createCatalogAnnouncer(channels, { onFault });
  const subscription = channels.subscribe({ channel, onListening: invalidate, onMessage: invalidate });
  return {
    changed: () => {
      invalidate();
      announcer.announce();
    },
    close: async () => {
      await Promise.all([subscription.close(), Promise.race([announcer.told(), sleep(lastWordMs)])]);
    },
  };
}
