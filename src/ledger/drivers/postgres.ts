import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import { Client, type ClientConfig, DatabaseError } from 'pg';
import { Fault } from '../../domain/errors.ts';
import type { Schema } from '../schema.ts';
import type { Driver } from './driver.ts';
import { EngineTrouble } from './engine-trouble.ts';
import { durabilityWeakness } from './postgres-durability.ts';
import { PostgresEngine } from './postgres-engine.ts';
import { valueTypes } from './postgres-session.ts';
import { Reachability } from './reachability.ts';

export interface PostgresOptions {
  /** As libpq takes it: postgres://user:password@host:5432/database */
  readonly url: string;
  /** Batches of the group commit in flight at once; each needs a connection. */
  readonly lanes?: number;
  /** A statement that runs longer is given up and changes nothing; null for migrations, which may take their time. */
  readonly statementTimeoutMs?: number | null;
}

/** Beside the lanes: a request that may be a repeat is looked for before it is written. */
const lookUpConnections = 2;
/** Reads of the catalog, snapshots, the admin plane. */
const otherConnections = 4;
const patienceMs = 500;
const probeWithinMs = 400;
const rememberMs = 250;
/** What the answer of a statement may take beyond its own timeout: longer, and the connection is dead. */
const graceMs = 1_000;
const oldestVersion = 150_000;

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
  const { url, lanes = 4, statementTimeoutMs = 5_000 } = options;
  const client: ClientConfig = {
    connectionString: url,
    fallback_application_name: 'tollgate',
    keepAlive: true,
    types: valueTypes,
    ...(statementTimeoutMs === null ? {} : { query_timeout: statementTimeoutMs + graceMs }),
  };
  const reachability = new Reachability({ probe: () => takesConnections(client), patienceMs, rememberMs });
  const shared = { client, reachability, statementTimeoutMs };
  const byKeys = new PostgresEngine({
    ...shared,
    planning: 'by keys',
    min: lanes,
    max: lanes + lookUpConnections,
  });
  const engine = new PostgresEngine({ ...shared, planning: 'anew', min: 0, max: otherConnections });
  const close = async () => {
    await Promise.all([engine.close(), byKeys.close()]);
  };
  try {
    await refuseOldServer(engine);
  } catch (error) {
    await close();
    const { cause } = error as Error;
    if (!(cause instanceof Error)) throw error;
    // A name with several addresses fails with one error for each, and no message of its own.
    const reason = cause instanceof AggregateError ? String(cause.errors[0]?.message) : cause.message;
    throw new Fault(
      'LEDGER_UNAVAILABLE',
      `Postgres at ${placeOf(url)} can't be used as the ledger: ${reason}`,
    );
  }
  const trouble = new EngineTrouble();
  const queryOn =
    (asked: PostgresEngine) =>
    async <Row>(statement: string, parameters: readonly unknown[]) =>
      (await trouble.watch(asked.query(statement, parameters))).rows as readonly Row[];
  const query = queryOn(engine);
  return {
    db: new Kysely<Schema>({ dialect: new PostgresDialect({ pool: asPool(engine) }) }),
    parallelism: lanes,
    // A server that is away comes back: this process has no reason to be replaced.
    get alive() {
      return !engine.closed;
    },
    query,
    queryByKeys: queryOn(byKeys),
    weakness: async () => trouble.tell() ?? (await durabilityWeakness(query)),
    close,
  };
}
