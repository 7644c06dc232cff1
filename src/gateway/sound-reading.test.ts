import { expect, test } from 'vitest';
import { nothingSaid } from '../dialects/dialect.ts';
import { soundReading } from './sound-reading.ts';

const reading = { ...nothingSaid, usage: { input: 1 }, generated: { texts: [], overhead: 0 } };

test('counts that can be priced are left alone', () => {
  let told = 0;
  expect(soundReading(reading, () => told++)).toBe(reading);
  expect(told).toBe(0);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, 2 ** 60, '7'])('%s is no count', (count) => {
  let told = 0;
  const odd = { output: count as number };
  const other = { model: 'm', usage: odd };
  const given = { ...reading, usage: odd, units: { web_search: count as number }, otherModels: [other] };
  expect(soundReading(given, () => told++)).toEqual({ ...reading, usage: null, units: {}, otherModels: [] });
  expect(told).toBe(1);
});
