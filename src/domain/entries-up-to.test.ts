import { LRUCache } from 'lru-cache';
import { expect, it } from 'vitest';
import { entriesUpTo } from './entries-up-to.ts';

it('is so many entries, and the one that was used longest ago goes for another', () => {
  const cache = new LRUCache<string, number>(entriesUpTo(2));
  cache.set('one', 1).set('two', 2);
  cache.get('one');
  cache.set('three', 3);
  expect([...cache.entries()].toSorted()).toEqual([
    ['one', 1],
    ['three', 3],
  ]);
  cache.set('three', 33);
  expect(cache.size).toBe(2);
});

it('takes no room for entries that are not there', () => {
  const cache = new LRUCache<string, number>(entriesUpTo(100_000));
  cache.set('one', 1);
  const { keyList, valList, next, prev, free } = LRUCache.unsafeExposeInternals(cache);
  for (const places of [keyList, valList, next, prev, free]) expect(places.length).toBeLessThan(10);
});
