import { describe, expect, it } from 'vitest';
import { cachedPeriods, isTimeZone, periodAt } from './quota.ts';

const at = (iso: string) => Date.parse(iso);
const iso = (ms: number) => new Date(ms).toISOString();

describe('a period', () => {
  it.each([
    [
      'UTC',
      '2026-11-23T23:59:59.999Z',
      '2026-11-23',
      '2026-11',
      '2026-11-24T00:00:00.000Z',
      '2026-12-01T00:00:00.000Z',
    ],
    [
      'Asia/Shanghai',
      '2026-12-31T16:00:00Z',
      '2027-01-01',
      '2027-01',
      '2027-01-01T16:00:00.000Z',
      '2027-01-31T16:00:00.000Z',
    ],
    // Clocks go back an hour on this day, which has 25 of them.
    [
      'Europe/Berlin',
      '2026-10-25T10:00:00Z',
      '2026-10-25',
      '2026-10',
      '2026-10-25T23:00:00.000Z',
      '2026-10-31T23:00:00.000Z',
    ],
    // Half an hour of daylight saving.
    [
      'Australia/Lord_Howe',
      '2026-04-05T00:00:00Z',
      '2026-04-05',
      '2026-04',
      '2026-04-05T13:30:00.000Z',
      '2026-04-30T13:30:00.000Z',
    ],
    // On this day there was no midnight: the clock went from 23:59:59 to 01:00.
    [
      'America/Sao_Paulo',
      '2018-11-03T12:00:00Z',
      '2018-11-03',
      '2018-11',
      '2018-11-04T03:00:00.000Z',
      '2018-12-01T02:00:00.000Z',
    ],
    [
      'UTC',
      '2028-02-29T12:00:00Z',
      '2028-02-29',
      '2028-02',
      '2028-03-01T00:00:00.000Z',
      '2028-03-01T00:00:00.000Z',
    ],
  ])('in %s at %s is %s of %s and ends at the local midnight', (zone, now, day, month, dayEnd, monthEnd) => {
    const period = periodAt(at(now), zone);
    expect([period.day, period.month, iso(period.dayEndsAtMs), iso(period.monthEndsAtMs)]).toEqual([
      day,
      month,
      dayEnd,
      monthEnd,
    ]);
  });

  it('is taken from the cache only while it lasts, also when the clock steps back', () => {
    const periods = cachedPeriods();
    for (const now of [
      '2026-11-23T12:00:00Z',
      '2026-11-23T23:59:59.999Z',
      '2026-11-24T00:00:00Z',
      '2026-11-22T08:00:00Z',
    ]) {
      expect(periods(at(now), 'UTC').day).toBe(now.slice(0, 10));
    }
  });
});

it('knows time zones from other words', () => {
  expect(['Europe/Berlin', 'UTC', 'Mars/Olympus', ''].map(isTimeZone)).toEqual([true, true, false, false]);
});
