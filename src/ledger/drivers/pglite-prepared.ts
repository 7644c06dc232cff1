import { type PGlite, parse, protocol, types } from '@electric-sql/pglite';
import { type Planning, planningSettings } from './postgres-session.ts';

const { serialize } = protocol;

interface Prepared {
  readonly name: string;
  /** The types of its parameters. */
  readonly parameterTypes: readonly number[];
}

/**
 * Statements that are parsed and planned once, on an engine that has one session for everything. Its way to
 * plan is changed only where the next statement wants another one than the last.
 */
export class PreparedStatements {
  readonly #pglite: PGlite;
  readonly #prepared = new Map<string, Prepared>();
  /** How the session plans; null as long as nobody has said. */
  #planning: Planning | null = null;
  #names = 0;

  constructor(pglite: PGlite) {
    this.#pglite = pglite;
  }

  /** As `query` of the engine, by a plan of look-ups by keys alone. */
  async queryByKeys(statement: string, parameters: readonly unknown[]): Promise<readonly unknown[]> {
    await this.#plan('by keys');
    const { name, parameterTypes } = this.#prepared.get(statement) ?? (await this.#prepare(statement));
    const values = parameters.map((value, at) => this.#textOf(value, parameterTypes[at] ?? types.TEXT));
    const message = Buffer.concat([
      serialize.bind({ statement: name, values }),
      serialize.describe({ type: 'P' }),
      serialize.execute({}),
      serialize.sync(),
    ]);
    const { messages } = await this.#pglite.execProtocol(message);
    return parse.parseResults([...messages], this.#pglite.parsers)[0]?.rows ?? [];
  }

  /** Whatever is run next is planned for what it is. */
  async planAnew(): Promise<void> {
    await this.#plan('anew');
  }

  async #plan(planning: Planning): Promise<void> {
    if (planning === this.#planning) return;
    await this.#pglite.exec(planningSettings[planning]);
    this.#planning = planning;
  }

  async #prepare(statement: string): Promise<Prepared> {
    // One that failed may have its name all the same.
    const name = `tollgate_${this.#names++}`;
    const message = Buffer.concat([
      serialize.parse({ name, text: statement }),
      serialize.describe({ type: 'S', name }),
      serialize.sync(),
    ]);
    const { messages } = await this.#pglite.execProtocol(message, { syncToFs: false });
    const prepared = { name, parameterTypes: parse.parseDescribeStatementResults([...messages]) };
    this.#prepared.set(statement, prepared);
    return prepared;
  }

  #textOf(value: unknown, type: number): string | null {
    if (value === null || value === undefined) return null;
    const write = this.#pglite.serializers[type];
    return write === undefined ? String(value) : write(value);
  }
}
