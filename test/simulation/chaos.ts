import type { Admissions } from './admissions.ts';
import type { Clients } from './clients.ts';
import type { Database } from './database.ts';
import type { Figures } from './figures.ts';
import type { Fleet } from './fleet.ts';
import type { HotStateServer } from './hot-state.ts';
import type { Network, Weather } from './network.ts';
import type { Operators } from './operators.ts';
import type { Chance } from './random.ts';
import type { World } from './world.ts';

/** Mostly over soon; some are longer than anybody waits. */
const outagesMs = [5, 50, 300, 1_000, 3_000, 12_000, 45_000];

/** What may go wrong in one run; each run leaves out some of it, so that the rest shows more. */
export interface Plan {
  readonly weather: Weather;
  /** A mean time between two of the things that happen, in milliseconds; null: none of them do. */
  readonly everyMs: number;
  readonly kinds: readonly Mishap[];
}

const mishaps = [
  'kill',
  'kill',
  'pause',
  'pause',
  'database crashes',
  'hot state crashes',
  'flush',
  'partition',
  'clock steps',
  'operator',
  'operator',
  'time passes',
] as const;
type Mishap = (typeof mishaps)[number];

export function planChaos(chance: Chance): Plan {
  const rate = (most: number) => (chance.happens(0.5) ? 0 : chance.between(0, most));
  const share = chance.pick([0.2, 0.5, 1]);
  return {
    weather: {
      lostRequest: rate(0.05),
      lostReply: rate(0.05),
      twice: rate(0.15),
      late: rate(0.04),
      slow: rate(0.2),
    },
    everyMs: chance.pick([500, 3_000, 10_000]),
    kinds: mishaps.filter(() => chance.happens(share)),
  };
}

export const calm: Weather = { lostRequest: 0, lostReply: 0, twice: 0, late: 0, slow: 0 };

export interface ChaosOptions {
  readonly world: World;
  readonly plan: Plan;
  readonly network: Network;
  readonly database: Database;
  readonly hotState: HotStateServer;
  readonly fleet: Fleet;
  readonly operators: Operators;
  readonly admissions: Admissions;
  readonly clients: Clients;
  readonly figures: Figures;
}

/** Does what the plan of a run has, again and again, until it is over. */
export class Chaos {
  readonly #options: ChaosOptions;
  isOver = false;

  constructor(options: ChaosOptions) {
    this.#options = options;
  }

  start(): void {
    const { world, plan } = this.#options;
    if (plan.kinds.length === 0) return;
    const kind = world.chance.pick(plan.kinds);
    world.after(world.chance.delayMs(plan.everyMs), kind, async () => {
      if (this.isOver) return;
      await this.#do(kind);
      this.start();
    });
  }

  /** Everything is there again, and nothing more happens to it. */
  end(): void {
    const { network, database, hotState, fleet, operators } = this.#options;
    this.isOver = true;
    operators.isOver = true;
    network.weather = calm;
    network.unblockAll();
    database.start();
    hotState.start();
    fleet.startAll();
    for (const clock of [database, hotState, ...fleet.processes]) clock.lagMs = 0;
  }

  #do(kind: Mishap): void | Promise<void> {
    const { world, network, database, hotState, fleet, operators, clients, figures } = this.#options;
    const { chance } = world;
    switch (kind) {
      case 'kill':
        return fleet.kill();
      case 'pause':
        for (const process of fleet.processes.slice(0, 1)) {
          figures.add('pauses');
          process.pause(chance.pick([20, 2_000, 12_000, 45_000, 70_000]));
        }
        return;
      case 'database crashes':
        figures.add('crashes of the database');
        database.crash();
        world.after(chance.pick(outagesMs), 'database is back', () => database.start());
        return;
      case 'hot state crashes':
        figures.add('crashes of hot state');
        hotState.crash();
        this.#options.admissions.forgetAll();
        world.after(chance.pick(outagesMs), 'hot state is back', () => hotState.start());
        return;
      case 'flush':
        figures.add('flushes');
        hotState.flush();
        this.#options.admissions.forgetAll();
        return;
      case 'partition':
        figures.add('partitions');
        for (const process of fleet.processes.slice(-1))
          network.block(process, chance.pick([database, hotState]), chance.pick(outagesMs));
        return;
      case 'clock steps':
        return this.#stepClock();
      case 'operator':
        return operators.act();
      case 'time passes':
        figures.add('quiet times');
        return clients.rest(chance.pick([20_000, 40_000, 60_000]));
    }
  }

  #stepClock(): void {
    const { world, database, hotState, fleet, admissions } = this.#options;
    const { chance } = world;
    const lagMs = chance.pick([-90_000, -1_500, -20, 0, 0, 20, 1_500, 90_000]);
    const which = chance.pick(['process', 'process', 'database', 'hot state'] as const);
    if (which === 'database') database.lagMs = lagMs;
    else if (which === 'hot state') {
      hotState.lagMs = lagMs;
      admissions.forgetMinutes();
    } else for (const process of fleet.processes.slice(0, 1)) process.lagMs = lagMs;
  }
}
