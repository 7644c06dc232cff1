import type { Kysely } from 'kysely';
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
  /** The query builder over the same engine, for migrations and for what is not on the request path. */
  readonly db: Kysely<Schema>;
  /** How many statements the engine can usefully run at once. */
  readonly parallelism: number;
  /** Whether the engine can still be reached, as far as is known without asking it. */
  readonly alive: boolean;
  /** Ends it. What was resolved before is durable; what was not, may be. */
  close(): Promise<void>;
}

/** What the engine refused, with its five-character SQLSTATE. */
export class SqlError extends Error {
  override readonly name = 'SqlError';
  readonly sqlState: string;

  constructor(message: string, sqlState: string, options?: ErrorOptions) {
    super(message, options);
    this.sqlState = sqlState;
  }
}
