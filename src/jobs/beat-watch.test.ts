import { describe, expect, it } from 'vitest';
import type { InstanceId } from '../domain/ids.ts';
import type { KnownInstance } from '../ledger/instances.ts';
import { BeatWatch } from './beat-watch.ts';

const instance = (beat: number, changes: Partial<KnownInstance> = {}): KnownInstance => ({
  id: 'a' as InstanceId,
  host: 'here',
  pid: 7,
  place: 'place',
  beat: `${beat}`,
  hasEnded: false,
  ...changes,
});

/** Looks every `everyMs`, from 0 to `untilMs`; @returns when it was first said to be gone. */
function firstGoneMs(
  untilMs: number,
  see: (atMs: number) => KnownInstance | null,
  everyMs = 5_000,
): number | null {
  const watch = new BeatWatch(30_000);
  for (let atMs = 0; atMs <= untilMs; atMs += everyMs) {
    const seen = see(atMs);
    const looked = { askedAtMs: atMs, answeredAtMs: atMs + 10, instances: seen === null ? [] : [seen] };
    if (watch.observe(looked).length > 0) return atMs;
  }
  return null;
}

describe('an instance', () => {
  it('is gone when it has not beaten for 30 s between an answer and a question', () => {
    expect(firstGoneMs(100_000, () => instance(1))).toBe(35_000);
  });

  it('is not as long as it beats, however slowly within that time', () => {
    expect(firstGoneMs(300_000, (atMs) => instance(Math.floor(atMs / 25_000)))).toBeNull();
  });

  it('has all of the time anew once it beats again', () => {
    expect(firstGoneMs(100_000, (atMs) => instance(atMs < 20_000 ? 1 : 2))).toBe(55_000);
  });

  it.each([
    ['of an older version, which does not beat', { place: null }],
    ['that has ended already', { hasEnded: true }],
  ])('%s is not looked at', (_, changes) => {
    expect(firstGoneMs(100_000, () => instance(1, changes))).toBeNull();
  });
});

describe('whoever looks', () => {
  it('calls nobody gone for a time in which it did not look itself: the ledger was away, or it stood still', () => {
    const watch = new BeatWatch(30_000);
    const look = (atMs: number) =>
      watch.observe({ askedAtMs: atMs, answeredAtMs: atMs, instances: [instance(1)] }).length;
    expect([0, 5_000, 10_000].map(look)).toEqual([0, 0, 0]);
    expect(look(60_000)).toBe(0);
    expect([65_000, 70_000, 75_000, 80_000, 85_000, 89_999].map(look)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(look(90_000)).toBe(1);
  });

  it('counts from when the answer came, since the beat in it may have been its newest', () => {
    const watch = new BeatWatch(30_000);
    watch.observe({ askedAtMs: 0, answeredAtMs: 4_000, instances: [instance(1)] });
    for (let atMs = 5_000; atMs < 34_000; atMs += 5_000)
      expect(watch.observe({ askedAtMs: atMs, answeredAtMs: atMs, instances: [instance(1)] })).toEqual([]);
    expect(watch.observe({ askedAtMs: 34_000, answeredAtMs: 34_000, instances: [instance(1)] })).toHaveLength(
      1,
    );
  });
});
