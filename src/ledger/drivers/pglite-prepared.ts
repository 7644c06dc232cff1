import { type PGlite, parse, protocol, types } from '@electric-sql/pglite';
import { planningSettings } from './postgres-session.ts';

const { serialize } = protocol;

interface Prepared {
  readonly name: string;
  /** The types of its parameters. */
  readonly parameterTypes: readonly number[];
}

/** The settings' own names, which a command undoes before a statement that is planned anew. */
const settings = [...planningSettings['by keys'].matchAll(/SET (\w+)/g)].map(([, name]) => name);
const anew = settings.map((name) => `RESET ${name};`).join(' ');

/**
 * Statements that are parsed and planned once, on an engine that has one session for everything. Its way to
 * plan is changed only where the next statement wants another one than the last.
 */
export class PreparedStatements {
  readonly #pglite: PGlite;
  readonly #prepared = new Map<string, Prepared>();
  #plansByKeys = false;
  #names = 0;

  constructor(pglite: PGlite) {
    this.#pglite = pglite;
  }

  /** As `query` of the engine, by a plan of look-ups by keys alone. */
  async queryByKeys(statement: string, parameters: readonly unknown[]): Promise<readonly unknown[]> {
    await this.#plan(true);
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
    await this.#plan(false);
  }

  async #plan(byKeys: boolean): Promise<void> {
    if (byKeys === this.#plansByKeys) return;
    await this.#pglite.exec(byKeys ? planningSettings['by keys'] : anew);
    this.#plansByKeys = byKeys;
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
