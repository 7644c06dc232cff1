import { expect, it } from 'vitest';
import { createAnnouncer } from './announcer.ts';

function announcerThat(publish: (attempt: number) => Promise<void>, pausesMs: readonly number[] = [1, 1]) {
  const faults: unknown[] = [];
  let attempts = 0;
  const announcer = createAnnouncer({
    publish: () => publish(++attempts),
    onFault: (_, error) => faults.push(error),
    pausesMs,
  });
  return { announcer, faults, attempts: () => attempts };
}

it('tells a change once', async () => {
  const { announcer, faults, attempts } = announcerThat(async () => undefined);
  announcer.announce();
  await announcer.told();
  expect([attempts(), faults]).toEqual([1, []]);
});

it('tells again what could not be told, within its bounds', async () => {
  const { announcer, faults, attempts } = announcerThat(async (attempt) => {
    if (attempt < 3) throw new Error('away');
  });
  announcer.announce();
  await announcer.told();
  expect([attempts(), faults]).toEqual([3, []]);
});

it('gives up after its last attempt, says so, and tells the next change all the same', async () => {
  let isAway = true;
  const { announcer, faults, attempts } = announcerThat(async () => {
    if (isAway) throw new Error('away');
  });
  announcer.announce();
  await announcer.told();
  expect(attempts()).toBe(3);
  expect(faults).toEqual([new Error('away')]);
  isAway = false;
  announcer.announce();
  await announcer.told();
  expect(attempts()).toBe(4);
  expect(faults).toHaveLength(1);
});

it('tells a change that was made while a message was on its way with another message, and many with one', async () => {
  const sent = Promise.withResolvers<void>();
  const { announcer, attempts } = announcerThat(async (attempt) => {
    if (attempt === 1) await sent.promise;
  });
  for (let change = 0; change < 5; change++) announcer.announce();
  expect(attempts()).toBe(1);
  announcer.announce();
  sent.resolve();
  await announcer.told();
  expect(attempts()).toBe(2);
});
