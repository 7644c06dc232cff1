import { createHash } from 'node:crypto';
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import {
  Client,
  type ClientBase,
  type ClientConfig,
  DatabaseError,
  Pool,
  type PoolClient,
  type QueryConfig,
  type QueryResult,
} from 'pg';
import { Fault } from '../../domain/errors.ts';
import type { Schema } from '../schema.ts';
import { type Driver, engineError, SqlError } from './driver.ts';
import { EngineTrouble } from './engine-trouble.ts';
import { durabilityWeakness } from './postgres-durability.ts';
import { setUpSession, valueTypes } from './postgres-session.ts';
import { Reachability, unavailable } from './reachability.ts';

export interface PostgresOptions {
  /** As libpq takes it: postgres://user:password@host:5432/database */
  readonly url: string;
  /** Batches of the group commit in flight at once; each needs a connection. */
  readonly lanes?: number;
  /** A statement that runs longer is given up and changes nothing; null for migrations, which may take their time. */
  readonly statementTimeoutMs?: number | null;
}

/** Beside the lanes: reads of the catalog, snapshots, the admin plane. */
const otherConnections = 6;
/** Longer than Postgres takes by default to find a deadlock, which is tried again. */
const lockTimeoutMs = 2_000;

const connectWithinMs = 1_000;
const patienceMs = 500;
const probeWithinMs = 400;
const rememberMs = 250;
/** What the answer of a statement may take beyond its own timeout: longer, and the connection is dead. */
const graceMs = 1_000;
const oldestVersion = 150_000;
/** The ledger has a dozen statements; a caller that makes them up as it goes must not fill the server's memory. */
const mostNamed = 200;

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
class Connection {
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

class PostgresEngine {
  readonly #pool: Pool;
  readonly #reachability: Reachability;
  readonly #names = new Map<string, string>();
  #closed = false;

  constructor(options: Required<PostgresOptions>) {
    const { url, lanes, statementTimeoutMs } = options;
    const client: ClientConfig = {
      connectionString: url,
      fallback_application_name: 'tollgate',
      keepAlive: true,
      types: valueTypes,
      ...(statementTimeoutMs === null ? {} : { query_timeout: statementTimeoutMs + graceMs }),
    };
    this.#pool = new Pool({
      ...client,
      max: lanes + otherConnections,
      min: lanes,
      idleTimeoutMillis: 30_000,
      connectionTimeoutMillis: connectWithinMs,
      onConnect: (fresh: ClientBase) =>
        setUpSession(fresh, {
          statementTimeoutMs,
          // A migration waits for as long as it takes.
          lockTimeoutMs: statementTimeoutMs === null ? null : lockTimeoutMs,
          withinMs: connectWithinMs,
        }),
    });
    // A connection that breaks while nobody uses it leaves the pool by itself; unheard, it would end us.
    this.#pool.on('error', () => undefined);
    this.#reachability = new Reachability({ probe: () => takesConnections(client), patienceMs, rememberMs });
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

/** Whether the server is there. A refusal is an answer too: all its connections may be taken. */
async function takesConnections(config: ClientConfig): Promise<boolean> {
  const client = new Client({ ...config, connectionTimeoutMillis: probeWithinMs });
  client.on('error', () => undefined);
  const startedAtMs = performance.now();
  try {
    await client.connect();
    return true;
  } catch (error) {
    // Timers run before sockets are read: where this process was held up, nothing is known of the server.
    const heldUp = performance.now() - startedAtMs > probeWithinMs * 1.25;
    return heldUp || error instanceof DatabaseError;
  } finally {
    client.end().catch(() => undefined);
  }
}

/** What Kysely asks of pg's pool. */
function asPool(engine: PostgresEngine): PostgresPool {
  return {
    options: {},
    connect: async () => {
      const connection = await engine.connect();
      const query = (text: string, values: readonly unknown[]) =>
        connection.run({ text, values: [...values] });
      return {
        // The other form that Kysely knows takes a cursor, which nothing here uses.
        query: query as unknown as PostgresPoolClient['query'],
        release: (destroy = false) => connection.release(destroy),
      };
    },
    end: () => engine.close(),
  };
}

async function refuseOldServer(engine: PostgresEngine): Promise<void> {
  const connection = await engine.connect();
  try {
    const { rows } = await connection.run({
      text: `SELECT current_setting('server_version') AS name, current_setting('server_version_num')::int AS number`,
    });
    const [version] = rows as readonly { name: string; number: number }[];
    if (version !== undefined && version.number < oldestVersion) {
      throw new Fault(
        'LEDGER_UNAVAILABLE',
        `The ledger needs Postgres 15 or newer, and this is ${version.name}.`,
      );
    }
  } finally {
    connection.release();
  }
}

/** Where it is, without what opens it. */
function placeOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}

/**
 * Connects to the ledger in Postgres.
 * @throws Fault LEDGER_UNAVAILABLE that says why when it can't be reached, or is too old.
 */
export async function openPostgres(options: PostgresOptions): Promise<Driver> {
  const engine = new PostgresEngine({ lanes: 4, statementTimeoutMs: 5_000, ...options });
  try {
    await refuseOldServer(engine);
  } catch (error) {
    await engine.close();
    const { cause } = error as Error;
    if (!(cause instanceof Error)) throw error;
    // A name with several addresses fails with one error for each, and no message of its own.
    const reason = cause instanceof AggregateError ? String(cause.errors[0]?.message) : cause.message;
    throw new Fault(
      'LEDGER_UNAVAILABLE',
      `Postgres at ${placeOf(options.url)} can't be used as the ledger: ${reason}`,
    );
  }
  const trouble = new EngineTrouble();
  const query = async <Row>(statement: string, parameters: readonly unknown[]) =>
    (await trouble.watch(engine.query(statement, parameters))).rows as readonly Row[];
  return {
    db: new Kysely<Schema>({ dialect: new PostgresDialect({ pool: asPool(engine) }) }),
    parallelism: options.lanes ?? 4,
    // A server that is away comes back: this process has no reason to be replaced.
    get alive() {
      return !engine.closed;
    },
    query,
    weakness: async () => trouble.tell() ?? (await durabilityWeakness(query)),
    close: () => engine.close(),
  };
}
