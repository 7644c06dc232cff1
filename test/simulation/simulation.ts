import type { Dialect } from '../../src/dialects/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat/index.ts';
import type { IdSource } from '../../src/domain/ids.ts';
import type { Driver } from '../../src/ledger/drivers/driver.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import { Admissions } from './admissions.ts';
import { Chaos, planChaos } from './chaos.ts';
import { Clients } from './clients.ts';
import { Database, type Rewrite } from './database.ts';
import type { Engine } from './engine.ts';
import { EventLog } from './event-log.ts';
import { Figures } from './figures.ts';
import { checkEnd } from './final-checks.ts';
import { Fleet } from './fleet.ts';
import { HotStateServer } from './hot-state.ts';
import { Machines } from './machine.ts';
import { Mirror } from './mirror.ts';
import { Network } from './network.ts';
import { Operators } from './operators.ts';
import { Chance } from './random.ts';
import { catalogOf, makeTenants, openAccounts, type SimulatedTenant, startOf } from './tenants.ts';
import { Upstreams } from './upstream.ts';
import { type Violation, World } from './world.ts';

/** What is switched off in a run, outside of the code under test. */
export interface Sabotage {
  readonly rewrite?: Rewrite;
  readonly dialect?: Dialect;
}

export interface RunOptions {
  readonly engine: Engine;
  readonly seed: number;
  readonly steps: number;
  readonly sabotage?: Sabotage;
  readonly onLine?: (line: string) => void;
}

export interface RunReport {
  readonly seed: number;
  readonly violation: Violation | null;
  /** Equal where two runs were the same run. */
  readonly hash: string;
  readonly lastLines: readonly string[];
  readonly figures: Readonly<Record<string, number>>;
  readonly outcomes: ReadonlyMap<string, number>;
}

/** So long a request may be open, by its own expiry; short, so that runs see it pass. */
const pendingTtlMs = 150_000;
/** A run that doesn't settle within so many events never does. */
const mostQuietSteps = 20_000;

/** One run: trouble for so many steps, then peace until everything must have settled, then the accounts. */
export async function simulate(options: RunOptions): Promise<RunReport> {
  const { engine, seed, steps, sabotage = {}, onLine = null } = options;
  const log = new EventLog();
  log.onLine = onLine;
  const start = startOf(new Chance(~seed));
  const world = new World(seed, start.atMs, log);
  const { chance } = world;
  await engine.clear();
  const plan = planChaos(chance);
  const figures = new Figures();
  const machines = new Machines();
  const network = new Network(world, plan.weather, figures);
  const database = new Database(world, engine, sabotage.rewrite ?? ((statement) => statement), figures);
  const hotState = new HotStateServer(world);
  const tenants = makeTenants(chance, start);
  const mirror = new Mirror(world, database);
  const upstreams = new Upstreams(world, chance.pick([0, 0.05, 0.3]));
  const newId = idsOf(world);
  const dialect = sabotage.dialect ?? openaiChat;
  await openAccounts(tenants, database, createSqlLedger({ driver: directDriver(database) }));
  await mirror.update();
  database.afterWrite = () => mirror.update();
  const admissions = new Admissions(world, hotState, mirror, tenants);
  hotState.afterExecution = (executed) => admissions.see(executed);
  const catalog = catalogOf(tenants, chance.happens(0.7) ? 'cancel' : 'drain', world.nowMs);
  const fleet = new Fleet(
    {
      world,
      network,
      database,
      hotState,
      upstreams,
      catalog,
      newId,
      dialect,
      pendingTtlMs,
      machines,
      figures,
    },
    chance.pick([1, 2, 2, 3]),
  );
  const gateways = () => fleet.living;
  const operators = new Operators({ world, tenants, mirror, database, gateways, newId });
  const clients = new Clients({ world, dialect, tenants, mirror, gateways });
  const chaos = new Chaos({
    world,
    plan,
    network,
    database,
    hotState,
    fleet,
    operators,
    admissions,
    clients,
    figures,
  });
  for (let client = chance.whole(1, 9); client > 0; client--) clients.start();
  chaos.start();

  while (world.steps < steps && world.violation === null) if (!(await world.step())) break;
  if (world.violation === null) {
    world.note('peace');
    clients.isOver = true;
    chaos.end();
    await settle({ world, hotState, mirror, tenants });
  }
  if (world.violation === null)
    await checkEnd({
      world,
      database,
      hotState,
      mirror,
      tenants,
      clients,
      upstreams,
      dialect,
      machines,
    });
  return {
    seed,
    violation: world.violation,
    hash: log.hash,
    lastLines: log.lastLines,
    outcomes: clients.outcomes,
    figures: {
      steps: world.steps,
      requests: clients.attempts.length,
      admitted: admissions.admitted,
      denied: admissions.denied,
      transactions: mirror.rows.size,
      ...figures.all(),
      ...fencings(database, machines),
    },
  };
}

/** What instances were ended: of processes that were dead, and of those that only seemed so. */
function fencings({ endedAtMs }: Database, { ownerOf }: Machines): Record<string, number> {
  const wasDead = [...endedAtMs].map(([id, atMs]) => (ownerOf.get(id)?.diedAtMs ?? Infinity) <= atMs);
  const dead = wasDead.filter(Boolean).length;
  return { 'instances ended, dead': dead, 'instances ended, alive': wasDead.length - dead };
}

/** What arrives late has arrived by then. */
const leastQuietMs = 40_000;
/**
 * What nobody is at work on is settled a minute after its expiry, which a clock may have set that was ahead; it is looked for
 * once a minute, and what hot state has otherwise by then is repaired at the next turn.
 */
const mostQuietMs = pendingTtlMs + 90_000 + 60_000 + 60_000 + 60_000;

interface Settling {
  readonly world: World;
  readonly hotState: HotStateServer;
  readonly mirror: Mirror;
  readonly tenants: readonly SimulatedTenant[];
}

/** Time runs on until everything is settled, as long as is promised at the most. */
async function settle({ world, hotState, mirror, tenants }: Settling): Promise<void> {
  const fromMs = world.nowMs;
  const mostSteps = world.steps + mostQuietSteps;
  const isSettled = async () => {
    if ([...mirror.rows.values()].some(({ status }) => status === 'PENDING')) return false;
    for (const { id } of tenants) {
      const state = await hotState.look(id);
      if (
        state !== undefined &&
        (state.openHolds > 0 || state.projection.version !== mirror.newest(id).version)
      )
        return false;
    }
    return true;
  };
  for (let quietMs = leastQuietMs; quietMs <= mostQuietMs; quietMs += 5_000) {
    while (world.violation === null && (await world.step(fromMs + quietMs)))
      if (world.steps > mostSteps)
        return world.violated('everything settles', `not in ${mostQuietSteps} steps`);
    if (world.violation !== null || (await isSettled())) return;
  }
}

/** Ids that sort by time, as those of version 7, and come from the seed. */
function idsOf(world: World): IdSource {
  let given = 0;
  return () => {
    const time = Math.floor(world.nowMs).toString(16).padStart(12, '0');
    const count = (++given).toString(16).padStart(12, '0');
    return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${count}`;
  };
}

function directDriver(database: Database): Driver {
  return {
    get db(): never {
      throw new Error('not for setting up');
    },
    parallelism: 1,
    alive: true,
    weakness: async () => null,
    query: (statement, parameters) => database.query(statement, parameters),
    queryByKeys: (statement, parameters) => database.query(statement, parameters),
    close: async () => undefined,
  };
}
