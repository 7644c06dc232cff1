import { createHash } from 'node:crypto';
import { type ClientBase, type ClientConfig, Pool, type PoolClient, type QueryResult } from 'pg';
import { Fault } from '../../domain/errors.ts';
import { Connection } from './postgres-connection.ts';
import { type Planning, setUpSession } from './postgres-session.ts';
import { type Reachability, unavailable } from './reachability.ts';

/** Longer than Postgres takes by default to find a deadlock, which is tried again. */
const lockTimeoutMs = 2_000;
const connectWithinMs = 1_000;
/** The ledger has a dozen statements; a caller that makes them up as it goes must not fill the server's memory. */
const mostNamed = 200;

export interface EngineOptions {
  readonly client: ClientConfig;
  readonly reachability: Reachability;
  readonly statementTimeoutMs: number | null;
  readonly planning: Planning;
  /** Connections that stay, and how many there are at most. */
  readonly min: number;
  readonly max: number;
}

/** Connections whose statements are planned alike. */
export class PostgresEngine {
  readonly #pool: Pool;
  readonly #reachability: Reachability;
  readonly #names = new Map<string, string>();
  #closed = false;

  constructor({ client, reachability, statementTimeoutMs, planning, min, max }: EngineOptions) {
    this.#pool = new Pool({
      ...client,
      max,
      min,
      idleTimeoutMillis: 30_000,
      connectionTimeoutMillis: connectWithinMs,
      onConnect: (fresh: ClientBase) =>
        setUpSession(fresh, {
          statementTimeoutMs,
          // A migration waits for as long as it takes.
          lockTimeoutMs: statementTimeoutMs === null ? null : lockTimeoutMs,
          planning,
          withinMs: connectWithinMs,
        }),
    });
    // A connection that breaks while nobody uses it leaves the pool by itself; unheard, it would end us.
    this.#pool.on('error', () => undefined);
    this.#reachability = reachability;
  }

  get closed(): boolean {
    return this.#closed;
  }

  async connect(): Promise<Connection> {
    let connecting: Promise<PoolClient> | null = null;
    const begin = () => {
      connecting = this.#pool.connect();
      return connecting;
    };
    try {
      return new Connection(await this.#reachability.answerOf(begin), this.#reachability);
    } catch (error) {
      giveBack(connecting);
      throw error instanceof Fault ? error : unavailable(error);
    }
  }

  async query(text: string, values: readonly unknown[]): Promise<QueryResult> {
    const connection = await this.connect();
    try {
      const name = this.#nameOf(text);
      const query = { text, values: [...values] };
      return name === null ? await connection.run(query) : await connection.runNamed({ ...query, name });
    } finally {
      connection.release();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#pool.end();
  }

  /** By its text: two versions of the code may share a server's connections through a pooler. */
  #nameOf(text: string): string | null {
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    if (this.#names.size >= mostNamed) return null;
    const name = `tollgate_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
    this.#names.set(text, name);
    return name;
  }
}

/** A connection that comes when nobody waits for it any more. */
function giveBack(connecting: Promise<PoolClient> | null): void {
  connecting?.then(
    (late) => late.release(),
    () => undefined,
  );
}
