import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { lastSettlementMs } from './app/drain.ts';
import { openServing, type Serving, urlAt } from './app/serving.ts';
import { administrationOf, openStores, type Stores } from './app/stores.ts';
import { openMetricsServer, openWatch } from './app/watch.ts';
import { createCatalogAnnouncer } from './catalog/redis-invalidation.ts';
import type { Config } from './config.ts';
import type { Fault } from './domain/errors.ts';
import type { MetricsServer } from './http/metrics-server.ts';
import { type LedgerAddress, openMigratedDriver } from './ledger/drivers/open-driver.ts';
import { schemaVersion } from './ledger/migrations/migrations.ts';
import { openLog } from './observability/log.ts';
import { WorkerMetrics } from './observability/metrics/worker-metrics.ts';
import type { Simulator } from './simulator/simulator.ts';
import { type SetUp, setUpOnce } from './start/set-up.ts';
import { welcome } from './start/welcome.ts';
import { claimPort } from './workers/claim-port.ts';
import { forkWorker, type Supervisor } from './workers/cluster-worker.ts';
import { WorkerPool } from './workers/worker-pool.ts';

export interface AppOptions {
  readonly config: Config;
  /** Where a stored credential such as `env:OPENAI_API_KEY` is looked up. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface App {
  readonly url: string;
  /** Finishes what runs, as far as the drain's time allows, then releases everything in reverse order. */
  close(): Promise<void>;
}

/** One that a person has started. */
export interface GreetingApp extends App {
  /** Says that it is ready, and how to use it. May hold secrets: to be printed, never logged. */
  readonly welcome: string;
}

/** One that serves by its workers. */
export interface SupervisingApp extends GreetingApp {
  /** Resolves when it can't go on: what is left to do is to close it, and to say why. */
  readonly failed: Promise<Fault>;
  /** Ends its workers at once, whatever they do. */
  kill(): void;
}

/** The gateway in this process alone: what is done once, and what serves. */
export function startApp(options: AppOptions): Promise<GreetingApp> {
  return opened(async (undo) => {
    const { config } = options;
    const log = openLog(config.logLevel, undo);
    const watch = openWatch(config, log);
    const text = async () => (await watch.metrics?.text()) ?? '';
    const metrics = await openMetricsServer(config, { text, log }, undo);
    const stores = await openStores({ config, watch, migrates: true }, undo);
    const simulator = await openSimulator(config, undo);
    // Before anything is made that is shown only once: a port that is taken must not cost it.
    const serving = await openServing({ ...options, watch }, stores, undo);
    const made = await setUp(config, stores, { log, simulator });
    serving.catalogChanged();
    serving.accept();
    const welcome = greet(config, { url: serving.url, metrics, made, log });
    return { url: serving.url, welcome, close: () => undo.disposeAsync() };
  });
}

/** The gateway in several processes: here what is done once, and the care for the workers that serve. */
export function startSupervisor(options: AppOptions): Promise<SupervisingApp> {
  return opened(async (undo) => {
    const { config } = options;
    const log = openLog(config.logLevel, undo);
    const port = await claimPort(config);
    const once = new AsyncDisposableStack();
    undo.defer(() => once.disposeAsync());
    // Its own ledger and hot state are closed once the workers serve: it has nothing to measure.
    const watch = openWatch({ prometheus: null }, log);
    const stores = await openStores({ config, watch, migrates: true }, once);
    const simulator = await openSimulator(config, undo);
    const ofWorkers = new WorkerMetrics();
    const text = (patienceMs: number) => ofWorkers.text(workers.living, patienceMs);
    const metrics = await openMetricsServer(config, { text, log }, undo);
    const workers = openWorkers(config, { port, log }, undo);
    await workers.listening;
    const made = await setUp(config, stores, { log, simulator });
    await tellOtherMachines(stores, log);
    await once.disposeAsync();
    workers.accept();
    const url = urlAt(config.host, port);
    return {
      url,
      welcome: greet(config, { url, metrics, made, log }),
      close: () => undo.disposeAsync(),
      failed: workers.failed,
      kill: () => workers.kill(),
    };
  });
}

/** A process that serves and does nothing else. */
export function startWorker(options: AppOptions, supervisor: Supervisor): Promise<App> {
  return opened(async (undo) => {
    const { config } = options;
    const watch = openWatch(config, openLog(config.logLevel, undo));
    if (watch.metrics !== null) supervisor.giveMetrics(watch.metrics.values);
    const stores = await openStores({ config, watch, migrates: false }, undo);
    const serving: Serving = await openServing({ ...options, watch }, stores, undo);
    supervisor.accept.then(() => serving.accept());
    return { url: serving.url, close: () => undo.disposeAsync() };
  });
}

/** Brings the ledger's schema to this code's version, which is returned, and does nothing else. */
export async function migrateLedger(address: LedgerAddress): Promise<string> {
  const driver = await openMigratedDriver(address);
  await driver.close();
  return schemaVersion;
}

/** Whatever `build` opens puts its closer onto the stack at once; where it fails, all of it is closed. */
async function opened<T>(build: (undo: AsyncDisposableStack) => Promise<T>): Promise<T> {
  const undo = new AsyncDisposableStack();
  try {
    return await build(undo);
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

async function openSimulator({ demo }: Config, undo: AsyncDisposableStack): Promise<Simulator | null> {
  if (!demo) return null;
  // Not loaded where there is none: it has a vocabulary of 200,000 tokens.
  const { startSimulator } = await import('./simulator/simulator.ts');
  const simulator = await startSimulator();
  undo.defer(() => simulator.close());
  return simulator;
}

/** Beyond the drain itself: closing what the workers have open. */
const closingMs = 5_000;

function openWorkers(
  { workers: count, drainMs }: Config,
  { port, log }: { readonly port: number; readonly log: Logger },
  undo: AsyncDisposableStack,
): WorkerPool {
  const workers = new WorkerPool({
    count,
    fork: () => forkWorker(port),
    onEnd: ({ pid, how, pauseMs }) =>
      log.error({ worker: pid, how, again_in_ms: pauseMs }, 'a worker ended, and is started again'),
    drainsWithinMs: drainMs + lastSettlementMs + closingMs,
  });
  undo.defer(async () => {
    if (!(await workers.stop()))
      log.error('workers were killed: they did not end within the time of the drain');
  });
  return workers;
}

interface SetUpParts {
  readonly log: Logger;
  readonly simulator: Simulator | null;
}

function setUp(config: Config, stores: Stores, { log, simulator }: SetUpParts): Promise<SetUp> {
  return setUpOnce({
    admin: administrationOf(stores, log),
    hasAdminToken: config.adminToken !== null,
    providers: config.providers,
    simulatorOrigin: simulator?.origin ?? null,
  });
}

/** Those who can't be told see what was set up when their cached answers have aged. */
const tellWithinMs = 1_000;

async function tellOtherMachines({ redis }: Stores, log: Logger): Promise<void> {
  if (redis === null) return;
  const onFault = (what: string, error: unknown) => log.warn({ err: error }, what);
  const announcer = createCatalogAnnouncer(redis.channels, { onFault, pausesMs: [] });
  announcer.announce();
  await Promise.race([announcer.told(), sleep(tellWithinMs)]);
}

interface Greeting {
  readonly url: string;
  readonly metrics: MetricsServer | null;
  readonly made: SetUp;
  readonly log: Logger;
}

/** Returns the welcome; what only whoever runs it may want to know is logged. */
function greet(config: Config, { url, metrics, made, log }: Greeting): string {
  for (const { title, left } of made.providers) {
    if (left.length > 0)
      log.info({ provider: title, models: left }, 'not served: the price book has no price');
  }
  const metricsUrl =
    metrics === null ? null : `${urlAt(config.prometheus?.host ?? config.host, metrics.port)}/metrics`;
  return welcome({ ...made, url, metricsUrl, adminTokenFromEnvironment: config.adminToken !== null });
}
