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

/**
 * What the ledger relies on, whatever the server or the role has as its defaults. A commit that only
 * sits in memory isn't durable, so `off` is raised to `on`; a stricter choice of the operator stays. A
 * plan is made anew for each batch: batches differ in size, and a plan that was made for an empty table
 * would otherwise be kept while it grows. The server looks now and then whether the client is still
 * there, so that the locks of a gateway that died are not held until its statement ends. A row that somebody
 * keeps locked is not waited for as long as a statement: others wait behind it.
 */
const sessionSettings = ({ statementTimeoutMs, lockTimeoutMs }: SessionTimeouts) => `
  SET statement_timeout = ${statementTimeoutMs ?? 0};
  SET lock_timeout = ${lockTimeoutMs ?? 0};
  SET idle_in_transaction_session_timeout = ${statementTimeoutMs ?? 0};
  SET client_connection_check_interval = 1000;
  SET default_transaction_isolation = 'read committed';
  SET plan_cache_mode = force_custom_plan;
  SET timezone = 'UTC';
  SET datestyle = 'ISO';
  SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
`;

/** Null: none. */
export interface SessionTimeouts {
  readonly statementTimeoutMs: number | null;
  readonly lockTimeoutMs: number | null;
}

/**
 * Readies a new connection.
 * @throws what the server refuses, or that it gave no answer in time
 */
export async function setUpSession(
  client: ClientBase,
  options: SessionTimeouts & { readonly withinMs: number },
): Promise<void> {
  // The pool doesn't listen while a connection is lent, and an error that nobody hears ends the process.
  client.on('error', () => undefined);
  const query: QueryConfig & { query_timeout: number } = {
    text: sessionSettings(options),
    query_timeout: options.withinMs,
  };
  await client.query(query);
}
