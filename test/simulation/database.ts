import { Kysely, PGliteDialect } from 'kysely';
import { Fault } from '../../src/domain/errors.ts';
import type { Driver } from '../../src/ledger/drivers/driver.ts';
import type { Schema } from '../../src/ledger/schema.ts';
import { readInstanceStatements, readStatements } from '../../src/ledger/sql/statements.ts';
import { commands } from './command-order.ts';
import type { Engine } from './engine.ts';
import type { Figures } from './figures.ts';
import type { Network, Service } from './network.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** Changes a statement's text: how a safety measure of the ledger's SQL is switched off. */
export type Rewrite = (statement: string) => string;

const nameOf: ReadonlyMap<string, string> = new Map(
  Object.entries({ ...readStatements(), ...readInstanceStatements() }).map(([name, text]) => [text, name]),
);
/** Those that a group commit sends, one after the other in a lane; it looks up what a batch did not write. */
const ofLanes: ReadonlySet<string> = new Set([...commands, 'post', 'findByTrace']);

/** Those that write nothing of what is money. */
const ofNoMoney: ReadonlySet<string> = new Set([
  'findByTrace',
  'snapshot',
  'beat',
  'unsettledInstances',
  'endInstance',
  'settleInstances',
  'orphans',
  'INSERT INTO job_run (name, started_at) VA',
  'SELECT q.tenant_id, q.updated_at > now() -',
]);

/** The storage: what has executed is durable, whatever becomes of its caller or of the server. */
export class Database implements Service {
  readonly name = 'db';
  readonly #world: World;
  readonly #engine: Engine;
  readonly #rewrite: Rewrite;
  #isUp = true;
  #connection = 0;
  lagMs = 0;
  readonly #figures: Figures;
  /** When an instance was ended, by its id. */
  readonly endedAtMs = new Map<string, number>();
  /** Called after each statement that may have written, before anything else happens. */
  afterWrite: (label: string) => Promise<void> = async () => undefined;

  constructor(world: World, engine: Engine, rewrite: Rewrite, figures: Figures) {
    this.#figures = figures;
    this.#world = world;
    this.#engine = engine;
    this.#rewrite = rewrite;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get connection(): number {
    return this.#connection;
  }

  get nowMs(): number {
    return this.#world.nowMs + this.lagMs;
  }

  /** It waits for those of its lane, and for nothing else. */
  delays(label: string): boolean {
    return ofLanes.has(label);
  }

  timeoutMs(): number {
    return this.#world.chance.between(900, 5_500);
  }

  lost(): Error {
    return new Fault('LEDGER_UNAVAILABLE', 'The ledger did not answer.');
  }

  refused(): Error {
    return new Fault('LEDGER_UNAVAILABLE', 'The ledger is not there.');
  }

  /** Every call in flight fails, whether it ran or not. */
  crash(): void {
    this.#isUp = false;
    this.#connection++;
  }

  start(): void {
    this.#isUp = true;
  }

  /** One statement, atomically. */
  async execute<Row>(statement: string, parameters: readonly unknown[]): Promise<readonly Row[]> {
    const label = labelOf(statement);
    this.#figures.add('statements');
    try {
      const rows = await this.#engine.query<Row>(this.#rewrite(statement), parameters, this.nowMs);
      this.#count(label, rows, parameters);
      this.#world.note(`  db ${label} ${idsOf(parameters)}: ${rows.length}`);
      return rows;
    } catch (error) {
      this.#world.note(`  db ${label}: ${(error as Error).message}`);
      throw error;
    } finally {
      if (!ofNoMoney.has(label)) await this.afterWrite(label);
    }
  }

  #count(label: string, rows: readonly unknown[], [first]: readonly unknown[]): void {
    if (label === 'checkpoint') this.#figures.add('checkpoints', rows.length);
    if (label === 'endInstance' && rows.length > 0) this.endedAtMs.set(String(first), this.#world.nowMs);
  }

  /** Looks, or meddles, from outside of the simulated world. */
  query<Row>(statement: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> {
    return this.#engine.query<Row>(statement, parameters, this.nowMs);
  }

  /** The way of one process to it. */
  driverOf(process: Process, network: Network): Driver {
    const run = <Row>(statement: string, parameters: readonly unknown[]) =>
      network.call(process, this, labelOf(statement), () => this.execute<Row>(statement, parameters));
    return {
      db: new Kysely<Schema>({ dialect: new PGliteDialect({ pglite: asPglite(run) }) }),
      parallelism: 2,
      alive: true,
      weakness: async () => null,
      query: run,
      queryByKeys: run,
      close: async () => undefined,
    };
  }
}

/** The ends of the ids that a statement of many rows is about. */
function idsOf([, ids]: readonly unknown[]): string {
  return Array.isArray(ids) ? ids.map((id) => String(id).slice(-4)).join(' ') : '';
}

export function labelOf(statement: string): string {
  return nameOf.get(statement) ?? statement.trim().replaceAll(/\s+/g, ' ').slice(0, 41);
}

/** What Kysely asks of an engine that it knows, of which nothing on a request's path needs a transaction. */
function asPglite(run: <Row>(statement: string, parameters: readonly unknown[]) => Promise<readonly Row[]>) {
  return {
    ready: true,
    closed: false,
    waitReady: Promise.resolve(),
    close: async () => undefined,
    query: async <T>(statement: string, parameters: unknown[] = []) => ({
      rows: [...(await run<T>(statement, parameters))],
      fields: [],
    }),
    transaction: async (): Promise<never> => {
      throw new Error('a simulated process has no transactions of several statements');
    },
  };
}
