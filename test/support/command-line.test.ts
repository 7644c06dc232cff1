import { describe, expect, it } from 'vitest';
import { readCommandLine } from './command-line.ts';

const options = {
  numbers: { minutes: { byDefault: 10, least: 0.2 }, seed: { byDefault: 1, least: 0 } },
  words: { only: '' },
};
const read = (...args: string[]) => readCommandLine(args, options);

it('takes what is given, and the rest by default', () => {
  expect(read('--minutes', '0.5', '--only', 'idle')).toEqual({
    kind: 'asked',
    numbers: { minutes: 0.5, seed: 1 },
    words: { only: 'idle' },
  });
});

describe('refuses', () => {
  it.each([
    ['a number in words', ['--minutes', 'ten']],
    ['no number', ['--minutes', '']],
    ['a number with a unit', ['--minutes', '10m']],
    ['nothing to do', ['--minutes', '0']],
    ['what is no option', ['--minute', '10']],
  ])('%s', (_, args) => {
    expect(read(...args)).toMatchObject({ kind: 'refused' });
  });
});
