import { randomUUIDv7 } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { AdminCall } from '../admin/admin-call.ts';
import { createAdminCalls } from '../admin/admin-calls.ts';
import { tokenFactorCalls } from '../admin/token-factors.ts';
import { webhookCalls } from '../admin/webhooks.ts';
import { type CachedCatalog, createCachedCatalog } from '../catalog/cached-catalog.ts';
import { type CatalogInvalidation, createLocalInvalidation, maxAgeMs } from '../catalog/invalidation.ts';
import { createRedisInvalidation } from '../catalog/redis-invalidation.ts';
import type { Config } from '../config.ts';
import { dialects } from '../dialects/dialects.ts';
import { openaiChat } from '../dialects/openai-chat/index.ts';
import { ByteBudget } from '../domain/byte-budget.ts';
import { systemClock } from '../domain/clock.ts';
import { createPipeline, type Pipeline } from '../gateway/pipeline.ts';
import type { AdminPlaneOptions } from '../http/admin-plane.ts';
import type { HealthOptions } from '../http/health.ts';
import type { DataPlaneBounds } from '../http/serve-dialects.ts';
import { createServer } from '../http/server.ts';
import type { Heartbeat } from '../jobs/heartbeat.ts';
import { startWebhookSender } from '../jobs/webhook-sender.ts';
import { engineName } from '../ledger/drivers/open-driver.ts';
import type { Lease } from '../ledger/instances.ts';
import { createHealthReporter } from '../observability/health.ts';
import type { Observer } from '../observability/observer.ts';
import { withBuiltInPrices } from '../prices/price-book.ts';
import { createSqlFactorStore } from '../token-factors/sql-factor-store.ts';
import { createLearningTokenizer, mostStoredFactors } from '../tokenizer/learning-tokenizer.ts';
import { createThreadedTokenizer } from '../tokenizer/threaded-tokenizer.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { createUndiciClient } from '../upstream/undici-client.ts';
import { drain } from './drain.ts';
import { missingOpenFiles } from './open-files.ts';
import { openHeartbeat, openOrphanWatch } from './ownership.ts';
import { openReconcile } from './reconcile.ts';
import { sourcesOf } from './scraped-sources.ts';
import { administrationOf, type Stores } from './stores.ts';
import { openTracer } from './tracing.ts';
import type { Watch } from './watch.ts';

export interface ServingOptions {
  readonly config: Config;
  /** Where a stored credential such as `env:OPENAI_API_KEY` is looked up. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly watch: Watch;
}

/** A process that listens. */
export interface Serving {
  readonly url: string;
  /** Says that it is ready: what the start sets up is there. */
  accept(): void;
  /** What the start set up is new to this process, and to the others. */
  catalogChanged(): void;
}

const maxCachedApiKeys = 50_000;

/** What each process that serves has of its own, on the stores. It listens when this resolves. */
export async function openServing(
  options: ServingOptions,
  stores: Stores,
  undo: AsyncDisposableStack,
): Promise<Serving> {
  const { config, watch } = options;
  const { log, observer } = watch;
  const tracer = await openTracer(config, observer, undo);
  const heartbeat = await openHeartbeat({ config, stores, observer }, undo);
  const cached = cacheOf(stores, config);
  const invalidation = invalidationOf(cached, stores, observer);
  undo.defer(() => invalidation.close());
  const catalog = withBuiltInPrices(cached, systemClock);
  const tokenizer = await openTokenizer(stores, observer, undo);
  const answers = new ByteBudget(config.bounds.maxHeldBytes);
  const parts = { ...options, stores, lease: heartbeat, observer, catalog, tokenizer, answers };
  const pipeline = openPipeline(parts, undo);
  await openOrphanWatch({ config, stores, observer, heartbeat, pipeline }, undo);
  openWebhookSender(stores, observer, undo);
  const reconcile = openReconcile(stores, { observer, everyMs: config.reconcileMs }, undo);
  const state = { accepting: false };
  const bounds = boundsOf(config);
  const health = healthOf(stores, { config, heartbeat, accepting: () => state.accepting });
  watch.metrics?.scrape(sourcesOf(stores, { pipeline, heartbeat, health, answers, bounds }));
  const server = await createServer({
    dataPlane: {
      pipeline,
      catalog,
      ledger: stores.ledger,
      clock: systemClock,
      observer,
      tracer,
      dialects,
      defaultDialect: openaiChat,
      bounds,
    },
    maxConnections: config.bounds.maxConnections,
    trustedProxies: config.trustedProxies,
    adminPlane: adminPlaneOf({ stores, log, observer, tokenizer, catalog, invalidation, reconcile }),
    health,
  });
  const missing = await missingOpenFiles(config.bounds);
  if (missing !== null) log.warn(missing, 'ulimit -n is less than MAX_CONNECTIONS and MAX_REQUESTS may need');
  await server.http.listen({ host: config.host, port: config.port });
  undo.defer(() => drain(server, pipeline, { state, log, drainMs: config.drainMs }));
  return {
    url: urlOf(server.http.server.address(), config.host),
    accept: () => {
      cached.invalidate();
      state.accepting = true;
    },
    catalogChanged: () => invalidation.changed(),
  };
}

function boundsOf({ bounds }: Config): DataPlaneBounds {
  return {
    maxBodyBytes: bounds.maxBodyBytes,
    bodies: new ByteBudget(bounds.maxHeldBytes),
    maxUnsentBytes: bounds.maxHeldBytes,
    maxRequests: bounds.maxRequests,
    stallMs: bounds.clientStallMs,
  };
}

function cacheOf({ catalog, redis }: Stores, { databaseUrl }: Config): CachedCatalog {
  const isShared = redis !== null || databaseUrl !== null;
  return createCachedCatalog({
    store: catalog,
    clock: systemClock,
    maxAgeMs: isShared ? maxAgeMs.shared : maxAgeMs.alone,
    maxApiKeys: maxCachedApiKeys,
  });
}

function invalidationOf(catalog: CachedCatalog, { redis }: Stores, observer: Observer): CatalogInvalidation {
  if (redis === null) return createLocalInvalidation(catalog);
  return createRedisInvalidation({
    catalog,
    channels: redis.channels,
    onFault: (what, error) => observer.fault(what, error, null),
  });
}

async function openTokenizer(
  { driver }: Stores,
  observer: Observer,
  undo: AsyncDisposableStack,
): Promise<Tokenizer> {
  const factors = createSqlFactorStore({ db: driver.db });
  const tokenizer = createLearningTokenizer({
    counter: createThreadedTokenizer(),
    store: factors,
    known: await factors.load(mostStoredFactors),
    onAccuracy: observer.tokensCompared,
    onFault: (what, error) => observer.fault(what, error, null),
  });
  undo.defer(() => tokenizer.close());
  return tokenizer;
}

function openWebhookSender({ outbox }: Stores, observer: Observer, undo: AsyncDisposableStack): void {
  // Connections of its own: what hangs there is nothing to the providers.
  const client = createUndiciClient();
  undo.defer(() => client.close());
  const sender = startWebhookSender({
    outbox,
    client,
    clock: systemClock,
    random: Math.random,
    onFault: (what, error) => observer.fault(what, error, null),
  });
  undo.defer(() => sender.close());
}

interface PipelineParts extends ServingOptions {
  readonly stores: Stores;
  readonly lease: Lease;
  readonly observer: Observer;
  readonly catalog: CachedCatalog;
  readonly tokenizer: Tokenizer;
  readonly answers: ByteBudget;
}

function openPipeline(parts: PipelineParts, undo: AsyncDisposableStack): Pipeline {
  const { stores, lease, observer, catalog, tokenizer, answers, environment, config } = parts;
  const upstreams = createUndiciClient();
  undo.defer(() => upstreams.close());
  return createPipeline({
    catalog,
    hotState: stores.hotState,
    ledger: stores.ledger,
    upstreams,
    readCredential: (stored) => readCredential(stored, environment),
    tokenizer,
    observer,
    clock: systemClock,
    newId: randomUUIDv7,
    random: Math.random,
    lease,
    blockOnInsufficient: config.billing.blockOnInsufficient,
    answers,
    overdraft: { streams: config.billing.streamAllowNegative, answers: config.billing.allowNegative },
  });
}

interface AdminParts {
  readonly stores: Stores;
  readonly log: Logger;
  readonly observer: Observer;
  readonly tokenizer: Tokenizer;
  readonly catalog: CachedCatalog;
  readonly invalidation: CatalogInvalidation;
  readonly reconcile: readonly AdminCall[];
}

function adminPlaneOf(parts: AdminParts): AdminPlaneOptions {
  const { stores, log, observer, tokenizer, catalog, invalidation, reconcile } = parts;
  const administration = administrationOf(stores, log);
  return {
    calls: [
      ...createAdminCalls(administration),
      ...webhookCalls({ ...administration, webhooks: stores.webhooks, outbox: stores.outbox }),
      ...tokenFactorCalls(tokenizer),
      ...reconcile,
    ],
    admins: catalog,
    newId: randomUUIDv7,
    onFault: (what, error) => observer.fault(what, error, null),
    onCatalogChange: () => invalidation.changed(),
  };
}

interface HealthParts {
  readonly config: Config;
  readonly heartbeat: Heartbeat;
  readonly accepting: () => boolean;
}

function healthOf({ driver, redis }: Stores, parts: HealthParts): HealthOptions {
  const { config, heartbeat, accepting } = parts;
  return {
    report: createHealthReporter({
      clock: systemClock,
      database: {
        name: engineName(config),
        // A durable write: a disk that is full shows here, and not in a SELECT.
        ask: async () => {
          await heartbeat.beat();
          return await driver.weakness();
        },
      },
      redis: redis?.health ?? null,
      luaScripts: redis?.scriptsHealth ?? null,
    }),
    alive: () => driver.alive,
    accepting,
  };
}

/** `env:NAME` stands for a variable of the environment, anything else for itself. */
function readCredential(stored: string, environment: ServingOptions['environment']): string | null {
  return stored.startsWith('env:') ? (environment[stored.slice('env:'.length)] ?? null) : stored;
}

function urlOf(address: AddressInfo | string | null, host: string): string {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return urlAt(host, port);
}

/** Where a person on this machine reaches it. */
export function urlAt(host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
