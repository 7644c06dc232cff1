import type { Goal } from './goals.ts';

/** What the command line says; a question reads of it what it has a use for. */
export interface BenchOptions {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** Whether Postgres flushes what it commits to the disk, as it does unless told otherwise. */
  readonly fsync: 'on' | 'off';
  /** How many there are where there are many. */
  readonly tenants: number;
  /** How many there are in the large ledger. */
  readonly transactions: number;
  /** A part of what is measured, by its names; null for all of it. */
  readonly only: readonly string[] | null;
  /** Where the gateways leave profiles of their CPU; null for none. */
  readonly profileFolder: string | null;
}

/** For people: a row per thing that was measured. */
export type Table = readonly Readonly<Record<string, string | number | null>>[];

export interface Answer {
  readonly table: Table;
  /** For machines: the medians, the raw rounds, and what they were measured on. */
  readonly result: Readonly<Record<string, unknown>>;
  readonly goals?: readonly Goal[];
  /** What was found wrong with the thing that was measured: its figures count for nothing. */
  readonly failures: readonly string[];
}

/** One thing to know, with a baseline of the same run. */
export type Question = (options: BenchOptions) => Promise<Answer>;
