import type { Catalog } from '../../src/catalog/catalog.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import type { IdSource, InstanceId } from '../../src/domain/ids.ts';
import { createPipeline, type Pipeline } from '../../src/gateway/pipeline.ts';
import type { HotState } from '../../src/hot-state/hot-state.ts';
import type { Driver } from '../../src/ledger/drivers/driver.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import type { Database } from './database.ts';
import { type HotStateServer, hotStateOf } from './hot-state.ts';
import { startJobs } from './jobs.ts';
import type { Network } from './network.ts';
import { Process } from './process.ts';
import { simulatedTokenizer } from './tokenizer.ts';
import type { Upstreams } from './upstream.ts';
import type { World } from './world.ts';

/** What all processes of a run share. */
export interface Surroundings {
  readonly world: World;
  readonly network: Network;
  readonly database: Database;
  readonly hotState: HotStateServer;
  readonly upstreams: Upstreams;
  readonly catalog: Catalog;
  readonly newId: IdSource;
  readonly dialect: Dialect;
  readonly pendingTtlMs: number;
}

/** What a process is made of, for jobs and operators that work through it. */
export interface GatewayParts {
  readonly process: Process;
  readonly driver: Driver;
  readonly ledger: Ledger;
  readonly hotState: HotState;
}

/** One life of a gateway: the real pipeline and ledger, on the simulated network. */
export interface Gateway extends GatewayParts {
  readonly owner: InstanceId;
  readonly pipeline: Pipeline;
  /** When the ledger was first asked to close a transaction, by its id. */
  readonly closingSinceMs: ReadonlyMap<string, number>;
}

export function startGateway(name: string, around: Surroundings): Gateway {
  const { world, network, database, upstreams, catalog, newId, pendingTtlMs } = around;
  const process = new Process(name, world);
  const owner = newId() as InstanceId;
  const driver = database.driverOf(process, network);
  const closingSinceMs = new Map<string, number>();
  const ledger = repeating(createSqlLedger({ driver, clock: process.clock }), world, closingSinceMs);
  const hotState = hotStateOf(process, network, around.hotState);
  const pipeline = createPipeline({
    catalog,
    hotState,
    ledger,
    upstreams: upstreams.clientOf(process),
    readCredential: (stored) => stored,
    tokenizer: simulatedTokenizer,
    observer: {
      requestEnded: () => undefined,
      tokensCompared: () => undefined,
      fault: (what, error) => world.note(`  ${name} fault ${what}: ${String((error as Error).message)}`),
    },
    clock: process.clock,
    newId,
    random: world.chance.unit,
    owner,
    pendingTtlMs,
  });
  startJobs({ process, driver, ledger, hotState });
  return { process, driver, ledger, hotState, owner, pipeline, closingSinceMs };
}

/** Every command may be given twice, at once and by others: a caller that does so changes nothing. */
const repeatedAtOnce = 0.05;

function repeating(ledger: Ledger, world: World, closingSinceMs: Map<string, number>): Ledger {
  const sometimesTwice = <Asked, Answer>(run: (asked: Asked) => Promise<Answer>, asked: Asked) => {
    const first = run(asked);
    if (world.chance.happens(repeatedAtOnce)) run(asked).catch(() => undefined);
    return first;
  };
  return {
    ...ledger,
    createPending: (draft) => sometimesTwice(ledger.createPending, draft),
    commitPending: (commit) => {
      if (!closingSinceMs.has(commit.transactionId)) closingSinceMs.set(commit.transactionId, world.nowMs);
      return sometimesTwice(ledger.commitPending, commit);
    },
    voidPending: (close) => sometimesTwice(ledger.voidPending, close),
  };
}
