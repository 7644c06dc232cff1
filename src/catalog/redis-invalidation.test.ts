import { beforeEach, expect, it } from 'vitest';
import { type Channels, createRedisInvalidation } from './redis-invalidation.ts';

type Listener = Parameters<Channels['subscribe']>[0];

let listeners: Set<Listener>;
let published: number;
let publishing: () => Promise<void>;
let faults: unknown[];

const channels: Channels = {
  publish: async (channel) => {
    await publishing();
    published++;
    for (const listener of listeners) if (listener.channel === channel) listener.onMessage();
  },
  subscribe: (listener) => {
    listeners.add(listener);
    return {
      close: async () => {
        listeners.delete(listener);
      },
    };
  },
};

beforeEach(() => {
  listeners = new Set();
  published = 0;
  publishing = async () => undefined;
  faults = [];
});

/** As one process has it. */
function open() {
  const process = { invalidations: 0 };
  const catalog = { invalidate: () => process.invalidations++ };
  const invalidation = createRedisInvalidation({
    catalog,
    channels,
    onFault: (_, error) => faults.push(error),
  });
  return { process, invalidation };
}

it('forgets what this process knows at once, and what the others know when they hear of it', async () => {
  const [here, there] = [open(), open()];
  here.invalidation.changed();
  expect(here.process.invalidations).toBe(1);
  await expect.poll(() => there.process.invalidations, { interval: 1 }).toBe(1);
});

it('forgets all whenever listening begins: what was told before may have been missed', () => {
  const { process } = open();
  for (const listener of listeners) listener.onListening();
  for (const listener of listeners) listener.onListening();
  expect(process.invalidations).toBe(2);
});

it('never fails a change that could not be told at first', async () => {
  const [here, there] = [open(), open()];
  let failures = 1;
  publishing = async () => {
    if (failures-- > 0) throw new Error('away');
  };
  here.invalidation.changed();
  await expect.poll(() => there.process.invalidations, { interval: 5 }).toBe(1);
  expect(faults).toEqual([]);
});

it('tells its last change before it is closed, and hears nothing more', async () => {
  const [here, there] = [open(), open()];
  const sent = Promise.withResolvers<void>();
  publishing = () => sent.promise;
  here.invalidation.changed();
  let isClosed = false;
  const closed = here.invalidation.close().then(() => {
    isClosed = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(isClosed).toBe(false);
  sent.resolve();
  await closed;
  expect(published).toBe(1);
  expect(there.process.invalidations).toBe(1);
  expect(listeners.size).toBe(1);
});
