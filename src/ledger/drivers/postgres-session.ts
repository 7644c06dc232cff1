import { type ClientBase, type ClientConfig, type QueryConfig, types } from 'pg';

const { builtins } = types;
const textArray = 1009;
const asText = (value: string) => value;
/** Its type names no arrays, which it knows. */
const parserOf = types.getTypeParser as (oid: number, format?: 'text' | 'binary') => typeof asText;
/** Values that pg would read as numbers or as local dates, as the text in which they came. */
const asTheyCame: ReadonlyMap<number, (value: string) => unknown> = new Map([
  [builtins.INT8, asText],
  [builtins.NUMERIC, asText],
  [builtins.DATE, asText],
  ...[1016, 1231, 1182].map((arrayOfThese) => [arrayOfThese, parserOf(textArray)] as const),
]);
export const valueTypes: ClientConfig['types'] = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => asTheyCame.get(oid) ?? parserOf(oid, format),
};

/** How a session's statements are planned. */
export type Planning = 'anew' | 'by keys';

/**
 * Anew: for the parameters and for what the tables hold at the moment, as whatever isn't the same all the time needs it.
 * By keys: once a connection, for any parameters. What a plan kept could go wrong by is forbidden: one that was
 * made while a table was empty would read it from end to end, or join it as a whole, also when it has grown. What
 * is left is to look up each row by an index, which is right whatever the tables hold, for statements that know
 * the whole key of every row. Between indexes of which one knows less of the key, what is left to tell them apart is how
 * high they are, which says nothing of what a tenant will have: it must not count. To compile such a plan takes longer
 * than to run it. Either undoes what the other says: a session may go from one to the other.
 */
export const planningSettings: Readonly<Record<Planning, string>> = {
  anew: `
    SET plan_cache_mode = force_custom_plan;
    RESET enable_seqscan;
    RESET enable_bitmapscan;
    RESET enable_hashjoin;
    RESET enable_mergejoin;
    RESET jit;
    RESET cpu_operator_cost;`,
  'by keys': `
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;
    SET cpu_operator_cost = 0;`,
};

/**
 * What the ledger relies on, whatever the server or the role has as its defaults. A commit that only
 * sits in memory isn't durable, so `off` is raised to `on`; a stricter choice of the operator stays. The server
 * looks now and then whether the client is still there, so that the locks of a gateway that died are not held until
 * its statement ends. A row that somebody keeps locked is not waited for as long as a statement: others wait behind it.
 */
const sessionSettings = ({ statementTimeoutMs, lockTimeoutMs, planning }: SessionOptions) => `
  SET statement_timeout = ${statementTimeoutMs ?? 0};
  SET lock_timeout = ${lockTimeoutMs ?? 0};
  SET idle_in_transaction_session_timeout = ${statementTimeoutMs ?? 0};
  SET client_connection_check_interval = 1000;
  SET default_transaction_isolation = 'read committed';
  ${planningSettings[planning]}
  SET timezone = 'UTC';
  SET datestyle = 'ISO';
  SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
`;

export interface SessionOptions {
  /** Null: none. */
  readonly statementTimeoutMs: number | null;
  /** Null: none. */
  readonly lockTimeoutMs: number | null;
  readonly planning: Planning;
}

/**
 * Readies a new connection.
 * @throws what the server refuses, or that it gave no answer in time
 */
export async function setUpSession(
  client: ClientBase,
  options: SessionOptions & { readonly withinMs: number },
): Promise<void> {
  // The pool doesn't listen while a connection is lent, and an error that nobody hears ends the process.
  client.on('error', () => undefined);
  const query: QueryConfig & { query_timeout: number } = {
    text: sessionSettings(options),
    query_timeout: options.withinMs,
  };
  await client.query(query);
}
