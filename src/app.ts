import { randomUUIDv7 } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import type { AdminDependencies } from './admin/admin-call.ts';
import { createAdminCalls } from './admin/admin-calls.ts';
import { tokenFactorCalls } from './admin/token-factors.ts';
import { createCachedCatalog } from './catalog/cached-catalog.ts';
import type { CatalogStore } from './catalog/catalog.ts';
import { createSqlCatalog } from './catalog/sql-catalog.ts';
import type { Config } from './config.ts';
import { dialects } from './dialects/dialects.ts';
import { openaiChat } from './dialects/openai-chat/index.ts';
import { systemClock } from './domain/clock.ts';
import { hashSecret, type InstanceId, newSecret, type SecretHash } from './domain/ids.ts';
import { createPipeline, type Pipeline } from './gateway/pipeline.ts';
import { createMemoryHotState } from './hot-state/memory.ts';
import { createServer, type GatewayServer } from './http/server.ts';
import { SqlError } from './ledger/drivers/driver.ts';
import {
  engineName,
  type LedgerAddress,
  openDriver,
  openMigratedDriver,
} from './ledger/drivers/open-driver.ts';
import { schemaVersion } from './ledger/migrations/migrations.ts';
import { createSqlLedger } from './ledger/sql-ledger.ts';
import { createHealthReporter } from './observability/health.ts';
import { createLogObserver } from './observability/log-observer.ts';
import { withBuiltInPrices, withOneNamePerProvider } from './prices/price-book.ts';
import { createCatalogPriceStore, emptyPriceStore, type PriceStore } from './prices/price-store.ts';
import { startSimulator } from './simulator/simulator.ts';
import { setUpDemo } from './start/demo.ts';
import { type ServedProvider, setUpProvider } from './start/providers.ts';
import { welcome } from './start/welcome.ts';
import { createSqlFactorStore } from './token-factors/sql-factor-store.ts';
import { createLearningTokenizer, mostStoredFactors } from './tokenizer/learning-tokenizer.ts';
import { createThreadedTokenizer } from './tokenizer/threaded-tokenizer.ts';
import { createUndiciClient } from './upstream/undici-client.ts';

export interface AppOptions {
  readonly config: Config;
  /** Where a stored credential such as `env:OPENAI_API_KEY` is looked up. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where the welcome is printed, which may hold secrets: never a log. */
  readonly print: (text: string) => void;
}

export interface App {
  readonly url: string;
  /** Finishes what runs, as far as the drain's time allows, then releases everything in reverse order. */
  close(): Promise<void>;
}

/** A net only: no other process can change an embedded ledger, and our own changes invalidate at once. */
const catalogMaxAgeMs = 60_000;
const maxCachedApiKeys = 50_000;

/** After the drain, how long a ledger that is away is waited for. */
const lastSettlementMs = 10_000;

/** Builds every part once and joins them: the only place that knows which adapter is behind an interface. */
export async function startApp(options: AppOptions): Promise<App> {
  const undo = new AsyncDisposableStack();
  try {
    return await build(options, undo);
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

/** Whatever is opened puts its closer onto the stack at once. */
async function build({ config, environment, print }: AppOptions, undo: AsyncDisposableStack): Promise<App> {
  const log = pino({ level: config.logLevel }, pino.destination({ sync: false }));
  undo.defer(() => log.flush());
  const owner = randomUUIDv7() as string as InstanceId;

  const driver = await openMigratedDriver(config);
  undo.defer(() => driver.close());
  const ledger = createSqlLedger({ driver });
  const hotState = createMemoryHotState({ clock: systemClock });
  const stored = withOneNamePerProvider(createSqlCatalog({ db: driver.db }));
  const administered = withEnvironmentAdmin(stored, config.adminToken);
  const store = withBuiltInPrices(administered, systemClock);
  const cached = createCachedCatalog({
    store: administered,
    clock: systemClock,
    maxAgeMs: catalogMaxAgeMs,
    maxApiKeys: maxCachedApiKeys,
  });
  const catalog = withBuiltInPrices(cached, systemClock);

  const upstreams = createUndiciClient();
  undo.defer(() => upstreams.close());
  const observer = createLogObserver(log);
  const factorStore = createSqlFactorStore({ db: driver.db });
  const tokenizer = createLearningTokenizer({
    counter: createThreadedTokenizer(),
    store: factorStore,
    known: await factorStore.load(mostStoredFactors),
    onAccuracy: observer.tokensCompared,
    onFault: (what, error) => observer.fault(what, error, null),
  });
  undo.defer(() => tokenizer.close());
  const pipeline = createPipeline({
    catalog,
    hotState,
    ledger,
    upstreams,
    readCredential: (stored) => readCredential(stored, environment),
    tokenizer,
    observer,
    clock: systemClock,
    newId: randomUUIDv7,
    random: Math.random,
    owner,
  });

  const admin: AdminDependencies = {
    catalog: store,
    dialectNames: [...new Set(dialects.map(({ name }) => name))],
    ledger,
    hotState,
    clock: systemClock,
    newId: randomUUIDv7,
    onProjectionFailed: (error) => log.error({ err: error }, 'projecting a change by an admin'),
  };
  const state = { accepting: false };
  const simulator = config.demo ? await startSimulator() : null;
  if (simulator !== null) undo.defer(() => simulator.close());
  const server = await createServer({
    dataPlane: {
      pipeline,
      catalog,
      clock: systemClock,
      observer,
      dialects,
      defaultDialect: openaiChat,
      maxBodyBytes: config.maxBodyBytes,
    },
    adminPlane: {
      calls: [...createAdminCalls(admin), ...tokenFactorCalls(tokenizer)],
      admins: catalog,
      newId: randomUUIDv7,
      onCatalogChange: () => catalog.invalidate(),
    },
    health: {
      report: createHealthReporter({
        clock: systemClock,
        database: engineName(config),
        // A durable write: a disk that is full shows here, and not in a SELECT.
        pingDatabase: () => ledger.heartbeat({ id: owner, host: hostname(), pid: process.pid }),
      }),
      alive: () => driver.alive,
      accepting: () => state.accepting,
    },
  });
  // Before anything is made that is shown only once: a port that is taken must not cost it.
  await server.http.listen({ host: config.host, port: config.port });
  undo.defer(() => drain(server, pipeline, { state, log, drainMs: config.drainMs }));

  const url = urlOf(server.http.server.address(), config.host);
  const adminToken = await makeAdminToken(store, config);
  const providers: ServedProvider[] = [];
  for (const provider of config.providers) {
    providers.push(await setUpProvider(store, provider, systemClock.now()));
  }
  const demo = simulator === null ? null : await setUpDemo(admin, simulator.origin);
  catalog.invalidate();
  state.accepting = true;
  print(
    welcome({
      url,
      adminToken,
      adminTokenFromEnvironment: config.adminToken !== null,
      demo,
      providers,
    }),
  );
  for (const { title, left } of providers) {
    if (left.length > 0)
      log.info({ provider: title, models: left }, 'not served: the price book has no price');
  }
  if (config.withoutEffect.length > 0) {
    log.warn({ variables: config.withoutEffect }, 'set in the environment, and without effect yet');
  }
  return { url, close: () => undo.disposeAsync() };
}

/** A database whose schema is older than the price book. */
const undefinedTable = '42P01';

/**
 * The stored prices alone, for a command. A dry run makes no ledger where there is none, and brings no
 * schema up to date.
 * @throws Fault LEDGER_UNAVAILABLE when it can't be opened: an embedded one not while a gateway has it
 */
export async function openPriceStore(address: LedgerAddress, dryRun: boolean): Promise<PriceStore> {
  const { databaseUrl, dataDir } = address;
  if (dryRun && databaseUrl === null && !existsSync(join(dataDir, 'ledger'))) return emptyPriceStore;
  const driver = await (dryRun ? openDriver(address) : openMigratedDriver(address));
  const store = createCatalogPriceStore(withOneNamePerProvider(createSqlCatalog({ db: driver.db })), () =>
    driver.close(),
  );
  if (!dryRun) return store;
  return { ...emptyPriceStore, list: () => store.list().catch(noneYet), close: store.close };
}

/** Brings the ledger's schema to this code's version, which is returned, and does nothing else. */
export async function migrateLedger(address: LedgerAddress): Promise<string> {
  const driver = await openMigratedDriver(address);
  await driver.close();
  return schemaVersion;
}

function noneYet(error: unknown): readonly [] {
  if (error instanceof SqlError && error.sqlState === undefinedTable) return [];
  throw error;
}

/** The token of the environment counts as long as it is there, and is never stored. */
function withEnvironmentAdmin(store: CatalogStore, adminToken: string | null): CatalogStore {
  if (adminToken === null) return store;
  const expected = hashSecret(adminToken);
  return {
    ...store,
    findAdmin: async (secretHash: SecretHash) =>
      secretHash === expected ? 'ADMIN_TOKEN' : await store.findAdmin(secretHash),
  };
}

async function makeAdminToken(store: CatalogStore, config: Config): Promise<string | null> {
  if (config.adminToken !== null || (await store.hasAdmin())) return null;
  const token = newSecret('tga');
  await store.createAdminToken('first start', hashSecret(token));
  return token;
}

/** `env:NAME` stands for a variable of the environment, anything else for itself. */
function readCredential(stored: string, environment: AppOptions['environment']): string | null {
  return stored.startsWith('env:') ? (environment[stored.slice('env:'.length)] ?? null) : stored;
}

interface DrainOptions {
  readonly state: { accepting: boolean };
  readonly log: Logger;
  readonly drainMs: number;
}

/** Takes no more, finishes what runs within its time, and waits for every settlement. */
async function drain(server: GatewayServer, pipeline: Pipeline, options: DrainOptions): Promise<void> {
  const { state, log, drainMs } = options;
  state.accepting = false;
  const inTime = await server.drain(() => pipeline.idle(), drainMs);
  if (!inTime)
    log.warn({ in_flight: pipeline.inFlight }, 'the drain is over: what still ran was cut and is charged');
  const settled = await Promise.race([pipeline.idle().then(() => true), sleep(lastSettlementMs, false)]);
  if (!settled) {
    log.error(
      { in_flight: pipeline.inFlight },
      'ending with requests that are not settled: they stay PENDING',
    );
  }
}

function urlOf(address: AddressInfo | string | null, host: string): string {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
