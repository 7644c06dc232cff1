/** What the command line says; a question reads of it what it has a use for. */
export interface BenchOptions {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** Whether Postgres flushes what it commits to the disk, as it does unless told otherwise. */
  readonly fsync: 'on' | 'off';
  /** How many there are in the large Redis. */
  readonly tenants: number;
}

export interface Answer {
  /** For people: a row per thing that was measured. */
  readonly table: readonly Readonly<Record<string, string | number | null>>[];
  /** For machines: the medians, the raw rounds, and what they were measured on. */
  readonly result: Readonly<Record<string, unknown>>;
  /** What was found wrong with the thing that was measured: its figures count for nothing. */
  readonly failures: readonly string[];
}

/** One thing to know, with a baseline of the same run. */
export type Question = (options: BenchOptions) => Promise<Answer>;
