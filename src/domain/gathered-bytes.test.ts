import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GatheredBytes } from './gathered-bytes.ts';

it('are what was added, in whatever pieces it came', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40_000 })), fc.nat(200_000), (pieces, maxBytes) => {
      const gathered = new GatheredBytes(maxBytes);
      for (const piece of pieces) gathered.add(Buffer.from(piece));
      const all = Buffer.concat(pieces);
      expect(gathered.length).toBe(all.length);
      expect(gathered.takeAll().equals(all)).toBe(true);
      expect(gathered.length).toBe(0);
    }),
    { numRuns: 200 },
  );
});

it('take no more memory than twice their length, in pieces of a byte too', () => {
  const gathered = new GatheredBytes(1024 * 1024);
  for (let count = 0; count < 100_000; count++) gathered.add(Buffer.from([count % 256]));
  expect(gathered.takeAll().buffer.byteLength).toBeLessThanOrEqual(200_000);
});
