import { DatabaseError, type PoolClient, type QueryConfig, type QueryResult } from 'pg';
import { Fault } from '../../domain/errors.ts';
import { engineError, SqlError } from './driver.ts';
import { type Reachability, unavailable } from './reachability.ts';

/** A statement that can't run under its name on this connection; it was refused before it began. */
function lostItsName(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  // Another process has added a column since: what the name was prepared for has another result now.
  if (error.code === '0A000') return error.routine === 'RevalidateCachedQuery';
  // A pooler in between has another server behind this connection: the name is unknown there, or taken.
  return error.code === '26000' || error.code === '42P05';
}

function ledgerError(error: unknown): Fault | SqlError {
  if (error instanceof Fault || error instanceof SqlError) return error;
  if (error instanceof DatabaseError) return engineError(error.message, error.code ?? 'XX000');
  // A parameter that can't be written as text: the caller's mistake, and nothing was sent.
  if (error instanceof TypeError) return new SqlError(error.message, '22000', { cause: error });
  return unavailable(error);
}

/** A connection of the pool, lent to one statement or to one transaction. */
export class Connection {
  readonly #client: PoolClient;
  readonly #reachability: Reachability;
  #lost: Fault | null = null;
  #spoilt = false;

  constructor(client: PoolClient, reachability: Reachability) {
    this.#client = client;
    this.#reachability = reachability;
  }

  /** As it runs and fails on the wire. */
  async #send(query: QueryConfig): Promise<QueryResult> {
    if (this.#lost !== null) throw this.#lost;
    try {
      return await this.#reachability.answerOf(() => this.#client.query(query));
    } catch (error) {
      const failure = ledgerError(error);
      // A statement of which nobody knows how far it came must not meet the next one on its connection.
      if (failure instanceof Fault) this.#lost = failure;
      throw error;
    }
  }

  async run(query: QueryConfig): Promise<QueryResult> {
    try {
      return await this.#send(query);
    } catch (error) {
      throw ledgerError(error);
    }
  }

  /** Runs it under its name, which the server has planned before, or without where the name is of no use. */
  async runNamed(query: QueryConfig & { readonly name: string }): Promise<QueryResult> {
    try {
      return await this.#send(query);
    } catch (error) {
      if (!lostItsName(error)) throw ledgerError(error);
      this.#spoilt = true;
      const { name: _, ...unnamed } = query;
      return await this.run(unnamed);
    }
  }

  release(destroy = false): void {
    this.#client.release(destroy || this.#lost !== null || this.#spoilt);
  }
}
