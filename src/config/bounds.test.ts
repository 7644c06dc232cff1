import { expect, it } from 'vitest';
import { readConfig } from '../config.ts';

it('what is held grows with the largest body, unless it is said', () => {
  const large = { MAX_BODY_BYTES: String(100 * 2 ** 20) };
  expect(readConfig(large).bounds.maxHeldBytes).toBe(400 * 2 ** 20);
  expect(readConfig({ ...large, MAX_HELD_BYTES: String(200 * 2 ** 20) }).bounds.maxHeldBytes).toBe(
    200 * 2 ** 20,
  );
});

it('refuses so little that the largest body would never be taken', () => {
  expect(() => readConfig({ MAX_HELD_BYTES: String(40 * 2 ** 20) })).toThrow(
    /MAX_HELD_BYTES: has to be twice MAX_BODY_BYTES/,
  );
});
