import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RollingWindow } from './rolling-window.ts';

interface Logged {
  readonly atMs: number;
  amount: number;
}

/** All that happened in the 60 seconds up to and with each moment, from the full log. */
function mostInAnyMinute(log: readonly Logged[]): number {
  let most = 0;
  let first = 0;
  let sum = 0;
  for (const { atMs, amount } of log) {
    sum += amount;
    while (log[first]!.atMs <= atMs - 60_000) sum -= log[first++]!.amount;
    most = Math.max(most, sum);
  }
  return most;
}

const gapsMs = fc.array(fc.integer({ min: 0, max: 4_000 }), { minLength: 1, maxLength: 300 });

describe('a rolling minute', () => {
  it('never holds more than its limit, whenever requests come', () => {
    fc.assert(
      fc.property(gapsMs, fc.integer({ min: 1, max: 30 }), (gaps, limit) => {
        const window = new RollingWindow();
        const log: Logged[] = [];
        let nowMs = 1_000_000;
        for (const gap of gaps) {
          nowMs += gap;
          if (window.totalAt(nowMs) + 1 > limit) continue;
          window.add(nowMs, 1);
          log.push({ atMs: nowMs, amount: 1 });
        }
        expect(mostInAnyMinute(log)).toBeLessThanOrEqual(limit);
      }),
    );
  });

  it('says exactly when a request fits: not a millisecond earlier, and then it does', () => {
    const requests = fc.array(fc.tuple(fc.integer({ min: 0, max: 4_000 }), fc.integer({ min: 1, max: 50 })), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(requests, fc.integer({ min: 50, max: 300 }), (all, limit) => {
        const window = new RollingWindow();
        let nowMs = 1_000_000;
        for (const [gap, amount] of all) {
          nowMs += gap;
          const fitsInMs = window.fitsInMs(nowMs, amount, limit)!;
          if (fitsInMs > 0) {
            expect(window.totalAt(nowMs + fitsInMs - 1) + amount).toBeGreaterThan(limit);
            nowMs += fitsInMs;
          }
          expect(window.totalAt(nowMs) + amount).toBeLessThanOrEqual(limit);
          window.add(nowMs, amount);
        }
      }),
    );
  });

  it.each([1, 2, 7, 60, 100, 1_000, 100_000])('gives steady traffic nearly all of a limit of %i', (limit) => {
    const window = new RollingWindow();
    const minutes = Math.max(3, Math.ceil(200 / limit));
    let admitted = 0;
    let nowMs = 1_000_000;
    const endMs = nowMs + minutes * 60_000;
    // Whoever is refused comes back when it fits.
    for (;;) {
      nowMs = nowMs + Math.max(Math.min(60_000 / limit, 1), window.fitsInMs(nowMs, 1, limit)!);
      if (nowMs >= endMs) break;
      if (window.totalAt(nowMs) + 1 > limit) continue;
      window.add(nowMs, 1);
      admitted++;
    }
    expect(admitted).toBeGreaterThanOrEqual(0.98 * limit * minutes);
  });

  it('never fits what is larger than its limit', () => {
    expect(new RollingWindow().fitsInMs(0, 11, 10)).toBeNull();
  });

  it('takes a correction as long as it counts, and none later', () => {
    const window = new RollingWindow();
    const bucket = window.add(1_000, 900);
    window.correct(30_000, bucket, -800);
    expect(window.totalAt(30_000)).toBe(100);
    window.correct(61_499, bucket, 50);
    expect(window.totalAt(61_499)).toBe(150);
    window.correct(61_500, bucket, 50);
    expect(window.totalAt(61_500)).toBe(0);
    expect(window.isOverAt(61_500)).toBe(true);
  });

  it('takes a correction of what was nothing at first', () => {
    const window = new RollingWindow();
    const bucket = window.add(1_000, 0);
    expect(window.isOverAt(2_000)).toBe(false);
    window.correct(2_000, bucket, 50);
    expect(window.totalAt(2_000)).toBe(50);
    expect(window.totalAt(61_500)).toBe(0);
  });

  it('tells when nothing counts any more', () => {
    const window = new RollingWindow();
    expect(window.emptiesInMs(1_000)).toBe(0);
    const first = window.add(1_000, 1);
    const last = window.add(31_200, 1);
    expect(window.emptiesInMs(31_200)).toBe(60_300);
    window.correct(40_000, first, -1);
    expect(window.emptiesInMs(40_000)).toBe(51_500);
    window.correct(40_000, last, -1);
    expect(window.emptiesInMs(40_000)).toBe(0);
  });

  it('neither forgets nor keeps for ever what a clock that stepped back shows in the future', () => {
    const window = new RollingWindow();
    const bucket = window.add(10_000_000, 5);
    expect(window.totalAt(1_000_000)).toBe(5);
    window.correct(1_000_000, bucket, -2);
    expect(window.totalAt(1_060_499)).toBe(3);
    expect(window.totalAt(1_060_500)).toBe(0);
  });

  it('takes a correction from what it is of, also when the clock stepped back and went on since', () => {
    const window = new RollingWindow();
    const large = window.add(100_000, 900);
    window.add(80_000, 50);
    window.add(100_000, 30);
    window.correct(100_000, large, -800);
    expect(window.totalAt(100_000)).toBe(180);
    // Of the 180, first what came before the step leaves, a minute and a bucket after it, and last what came last.
    expect(window.totalAt(140_500)).toBe(30);
    expect(window.totalAt(160_499)).toBe(30);
    expect(window.totalAt(160_500)).toBe(0);
  });

  it('takes no correction of what left long ago, although a clock that stepped back gives the same names again', () => {
    const window = new RollingWindow();
    const left = window.add(1_000_000, 80);
    expect(window.isOverAt(1_060_500)).toBe(true);
    window.add(1_000_000, 50);
    window.correct(1_000_000, left, -80);
    expect(window.totalAt(1_000_000)).toBe(50);
  });

  it('never holds more than its limit while the clock steps, in time that really passed', () => {
    const steps = fc.array(
      fc.tuple(
        fc.integer({ min: 0, max: 4_000 }),
        fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 90_000 })),
      ),
      { minLength: 1, maxLength: 300 },
    );
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 30 }), (all, limit) => {
        const window = new RollingWindow();
        const log: Logged[] = [];
        let realMs = 1_000_000;
        let behindMs = 0;
        for (const [gap, stepBack] of all) {
          realMs += gap;
          behindMs += stepBack;
          if (window.totalAt(realMs - behindMs) + 1 > limit) continue;
          window.add(realMs - behindMs, 1);
          log.push({ atMs: realMs, amount: 1 });
        }
        expect(mostInAnyMinute(log)).toBeLessThanOrEqual(limit);
      }),
    );
  });
});
