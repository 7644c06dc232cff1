import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { systemClock } from '../domain/clock.ts';
import { type BodyOptions, readBody } from './body.ts';

const options: BodyOptions = {
  maxBytes: 100,
  declaredBytes: null,
  stallMs: 60_000,
  timers: systemClock,
  hold: () => true,
};

it('a body of just the limit is read, in whatever pieces it comes', async () => {
  const payload = new PassThrough();
  const read = readBody(payload, options);
  for (let count = 0; count < 100; count++) {
    payload.write('x');
    if (count % 10 === 0) await turn();
  }
  payload.end();
  expect(await read).toEqual({ kind: 'body', bytes: Buffer.from('x'.repeat(100)) });
});

it.each([
  ['beyond the limit', {}, 'too_large'],
  ['for which there is no room', { hold: () => false }, 'no_room'],
  ['of which nothing comes', { stallMs: 20 }, 'too_slow'],
] as const)('a body %s is not waited for, and its rest is thrown away', async (_, different, kind) => {
  const payload = new PassThrough();
  const read = readBody(payload, { ...options, ...different });
  if (kind !== 'too_slow') payload.write('x'.repeat(kind === 'too_large' ? 101 : 50));
  expect(await read).toEqual({ kind });
  payload.end('y'.repeat(1_000_000));
  await new Promise((resolve) => payload.once('end', resolve));
});

it('a body that breaks off is an error', async () => {
  const payload = new PassThrough();
  const read = readBody(payload, options);
  payload.write('x');
  payload.destroy(new Error('the client left'));
  await expect(read).rejects.toThrow('the client left');
});
