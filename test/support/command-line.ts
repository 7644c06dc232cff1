import { parseArgs } from 'node:util';

export interface NumberOption {
  readonly byDefault: number;
  readonly least: number;
}

export interface CommandLineOptions<Numbers extends string, Words extends string> {
  readonly numbers: Readonly<Record<Numbers, NumberOption>>;
  /** Each with what it is by default. */
  readonly words: Readonly<Record<Words, string>>;
}

export type CommandLine<Numbers extends string, Words extends string> =
  | {
      readonly kind: 'asked';
      readonly numbers: Readonly<Record<Numbers, number>>;
      readonly words: Readonly<Record<Words, string>>;
    }
  /** `why` is for a person. */
  | { readonly kind: 'refused'; readonly why: string };

/** What a program is asked to do with `--name value`. A number that is none is refused: it would ask for nothing. */
export function readCommandLine<Numbers extends string, Words extends string>(
  args: readonly string[],
  { numbers, words }: CommandLineOptions<Numbers, Words>,
): CommandLine<Numbers, Words> {
  const names = [...Object.keys(numbers), ...Object.keys(words)];
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' }] as const));
  let given: Record<string, unknown>;
  try {
    given = parseArgs({ args: [...args], options }).values;
  } catch (error) {
    return { kind: 'refused', why: (error as Error).message };
  }
  const readNumbers = Object.entries<NumberOption>(numbers).map(([name, { byDefault, least }]) => {
    const text = String(given[name] ?? byDefault);
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    return {
      name,
      value,
      why: value >= least ? null : `--${name} is a number from ${least} on, not "${text}"`,
    };
  });
  const why = readNumbers.find((read) => read.why !== null)?.why;
  if (why !== undefined && why !== null) return { kind: 'refused', why };
  const readWords = Object.entries<string>(words).map(([name, word]) => [name, given[name] ?? word]);
  return {
    kind: 'asked',
    numbers: Object.fromEntries(readNumbers.map(({ name, value }) => [name, value])) as Record<
      Numbers,
      number
    >,
    words: Object.fromEntries(readWords) as Record<Words, string>,
  };
}

/** For a program's first lines: what was asked for, or its end with 2 after saying how it is used. */
export function askedOrExit<Numbers extends string, Words extends string>(
  usage: string,
  options: CommandLineOptions<Numbers, Words>,
): Extract<CommandLine<Numbers, Words>, { kind: 'asked' }> {
  const read = readCommandLine(process.argv.slice(2), options);
  if (read.kind === 'asked') return read;
  exitWithUsage(usage, read.why);
}

export function exitWithUsage(usage: string, why: string): never {
  console.error(`${why}\n\nusage: ${usage}`);
  process.exit(2);
}
