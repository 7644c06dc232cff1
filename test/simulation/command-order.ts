import type { Driver } from '../../src/ledger/drivers/driver.ts';
import type { World } from './world.ts';

export type Command = 'createPending' | 'commitPending' | 'voidPending' | 'checkpoint';
export const commands: readonly string[] = ['createPending', 'commitPending', 'voidPending', 'checkpoint'];

/**
 * What one process has its ledger do with each transaction, in the order in which it asked. What goes out in another
 * one, or twice in one statement, is caught by the ledger's constraints, but at the price of a statement that fails or
 * of a row that stays open until it expires.
 */
export class CommandOrder {
  readonly #world: World;
  readonly #given = new Map<string, Command[]>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Asked for; whatever is refused before it went out never will. */
  give<T>(command: Command, id: string, run: () => Promise<T>): Promise<T> {
    const given = this.#given.get(id) ?? [];
    this.#given.set(id, given);
    given.push(command);
    return run().catch((error: unknown) => {
      this.#take(command, id);
      throw error;
    });
  }

  /** @param nameOf what a statement is called */
  watch(driver: Driver, nameOf: (statement: string) => string): Driver {
    return {
      ...driver,
      queryByKeys: (statement, parameters) => {
        const [, ids] = parameters;
        const name = nameOf(statement);
        if (commands.includes(name) && Array.isArray(ids)) this.#sent(name as Command, ids.map(String));
        return driver.queryByKeys(statement, parameters);
      },
    };
  }

  #sent(command: Command, ids: readonly string[]): void {
    if (new Set(ids).size < ids.length) this.#violated(`${command} has one twice`);
    for (const id of ids) {
      const [next] = this.#given.get(id) ?? [];
      const wasGiven = this.#take(command, id);
      if (wasGiven && next !== command) this.#violated(`${command} of ${id} before ${next}`);
    }
  }

  #take(command: Command, id: string): boolean {
    const given = this.#given.get(id) ?? [];
    const at = given.indexOf(command);
    if (at >= 0) given.splice(at, 1);
    return at >= 0;
  }

  #violated(detail: string): void {
    this.#world.violated('what is asked of the ledger for one request goes in its order', detail);
  }
}
