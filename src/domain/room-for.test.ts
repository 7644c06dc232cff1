import { LRUCache } from 'lru-cache';
import { expect, it } from 'vitest';
import { roomFor } from './room-for.ts';

it('is room for so many entries, and the one that was used longest ago goes for another', () => {
  const cache = new LRUCache<string, number>(roomFor(2));
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
