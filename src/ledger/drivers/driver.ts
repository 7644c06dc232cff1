import type { Kysely } from 'kysely';
import { Fault } from '../../domain/errors.ts';
import type { Schema } from '../schema.ts';

/**
 * A way to the ledger's SQL engine. Values come back alike from every engine: int8 and numeric as
 * strings, dates as ISO strings, timestamps as Date, json as parsed values.
 */
export interface Driver {
  /**
   * Runs one statement in a transaction of its own, durable when it resolves.
   * @throws SqlError for what the engine refuses; Fault LEDGER_UNAVAILABLE when it can't be reached.
   */
  query<Row>(statement: string, parameters: readonly unknown[]): Promise<readonly Row[]>;
  /**
   * As `query`, for a statement that finds every row by its whole key: how it is run is decided once, and by index
   * alone (ADR 26).
   */
  queryByKeys<Row>(statement: string, parameters: readonly unknown[]): Promise<readonly Row[]>;
  /** The query builder over the same engine, for migrations and for what is not on the request path. */
  readonly db: Kysely<Schema>;
  /** How many statements the engine can usefully run at once. */
  readonly parallelism: number;
  /** Whether the engine can still be reached, as far as is known without asking it. */
  readonly alive: boolean;
  /**
   * Why what it says is durable could be lost all the same, and what to do, for whoever runs it; null where
   * nothing is known to be wrong.
   * @throws as `query` does
   */
  weakness(): Promise<string | null>;
  /** Ends it. What was resolved before is durable; what was not, may be. */
  close(): Promise<void>;
}

/** A row with the same unique key is there already. */
export const uniqueViolation = '23505';

/** What the engine refused, with its five-character SQLSTATE. */
export class SqlError extends Error {
  override readonly name = 'SqlError';
  readonly sqlState: string;

  constructor(message: string, sqlState: string, options?: ErrorOptions) {
    super(message, options);
    this.sqlState = sqlState;
  }
}

/**
 * Classes of SQLSTATE that say nothing about the statement: no connection, no disk or memory, an
 * operator's hand, the file system, read-only, the engine itself. The same may succeed later.
 */
const unavailableClasses: ReadonlySet<string> = new Set(['08', '53', '57', '58', 'XX']);
const readOnlyTransaction = '25006';
/** Somebody keeps a row locked that the statement needs. */
const lockNotAvailable = '55P03';
/** In the class of lost connections, but about the statement. */
const protocolViolation = '08P01';

/** What an engine's error means: LEDGER_UNAVAILABLE, or SqlError where it refuses the statement itself. */
export function engineError(message: string, sqlState: string): Fault | SqlError {
  const refused = new SqlError(message, sqlState);
  const unavailable =
    sqlState === readOnlyTransaction ||
    sqlState === lockNotAvailable ||
    unavailableClasses.has(sqlState.slice(0, 2));
  if (!unavailable || sqlState === protocolViolation) return refused;
  return new Fault('LEDGER_UNAVAILABLE', 'The ledger is not available. Nothing was charged.', {
    cause: refused,
  });
}

/** Whether a statement gave up because somebody keeps a row locked that it needs. */
export function isLockTimeout(error: unknown): boolean {
  const cause = error instanceof Fault ? error.cause : null;
  return cause instanceof SqlError && cause.sqlState === lockNotAvailable;
}
