import { PGlite, types } from '@electric-sql/pglite';
import { Kysely, PGliteDialect } from 'kysely';
import { engineError } from '../../src/ledger/drivers/driver.ts';
import { migrate } from '../../src/ledger/migrations/migrations.ts';

const asText = (value: string) => value;

/**
 * The SQL engine that all runs of this process share, in memory and without a thread: the world stands still
 * while it works. Its clock is the simulated one, since it takes its time from `Date`.
 */
export class Engine {
  readonly #pglite: PGlite;
  readonly #tables: string;

  private constructor(pglite: PGlite, tables: string) {
    this.#pglite = pglite;
    this.#tables = tables;
  }

  static async open(): Promise<Engine> {
    const parsers = { [types.INT8]: asText, [types.NUMERIC]: asText, [types.DATE]: asText };
    const pglite = await PGlite.create({ parsers, relaxedDurability: true });
    await migrate(new Kysely({ dialect: new PGliteDialect({ pglite }) }));
    // Statistics wait for an idle moment by a timer, which a clock that steps between runs would confuse.
    await pglite.exec("SET timezone = 'UTC'; SET track_counts = off; SET track_activities = off");
    const { rows } = await pglite.query<{ name: string }>(
      "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'kysely%' ORDER BY 1",
    );
    return new Engine(pglite, rows.map(({ name }) => name).join(', '));
  }

  /** Begins with an empty ledger. */
  async clear(): Promise<void> {
    await this.exec(
      `SET session_replication_role = replica; TRUNCATE ${this.#tables} RESTART IDENTITY CASCADE; SET session_replication_role = origin`,
    );
  }

  /** As an operator, outside of every run. */
  async exec(statements: string): Promise<void> {
    await at(Date.now(), () => this.#pglite.exec(statements));
  }

  /**
   * @param nowMs what the engine's clock shows meanwhile
   * @throws what a driver throws
   */
  async query<Row>(
    statement: string,
    parameters: readonly unknown[],
    nowMs: number,
  ): Promise<readonly Row[]> {
    try {
      const { rows } = await at(nowMs, () => this.#pglite.query<Row>(statement, [...parameters]));
      return rows;
    } catch (error) {
      const { message, code } = error as { message?: string; code?: string };
      throw engineError(message ?? String(error), code ?? '22000');
    }
  }

  async close(): Promise<void> {
    await this.#pglite.close();
  }
}

/**
 * Without timers: the engine has some for idle moments, which clocks that step between runs would have go off at once
 * and again and again.
 */
async function at<T>(nowMs: number, work: () => Promise<T>): Promise<T> {
  const { now } = Date;
  const { setTimeout } = globalThis;
  Date.now = () => Math.floor(nowMs);
  globalThis.setTimeout = (() => null) as never;
  try {
    return await work();
  } finally {
    Date.now = now;
    globalThis.setTimeout = setTimeout;
  }
}
