import { expect, it } from 'vitest';
import { scarceSpace } from './free-space.ts';

it('says how little space is left, and nothing where nobody knows', async () => {
  // A file system of which none is ever free.
  expect(await scarceSpace('/proc')).toBe('. Only 0 MB are free on its disk: make room for it');
  expect(await scarceSpace('/there/is/none')).toBe('');
});
