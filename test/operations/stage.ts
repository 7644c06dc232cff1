import { setTimeout as sleep } from 'node:timers/promises';
import { startSimulator } from '../../src/simulator/simulator.ts';
import {
  addModel,
  addTenant,
  sectionNineRates,
  startGateway,
  type TestGateway,
  type TestTenant,
} from '../support/gateway.ts';
import { metricsUrlOf } from '../support/metrics.ts';
import { createDatabase, type PostgresService, startPostgres } from '../support/services/postgres.ts';
import { type PrometheusServer, startPrometheus } from '../support/services/prometheus.ts';
import { type RedisServer, startRedis } from '../support/services/redis.ts';
import { startTcpProxy, type TcpProxy } from '../support/services/tcp-proxy.ts';
import { startMiscountingProvider } from './miscounting-provider.ts';

export interface StageOptions {
  readonly rules: readonly string[];
  readonly scrapeEveryMs: number;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Two gateways on one Postgres and one Redis, the second one of two workers, with everything that a request can come upon,
 * and Prometheus that watches them.
 */
export interface OperationsStage {
  readonly gateways: readonly [TestGateway, TestGateway];
  readonly postgres: PostgresService;
  readonly databaseUrl: string;
  /** Between the gateways and Postgres. */
  readonly toPostgres: TcpProxy;
  readonly redis: RedisServer;
  readonly prometheus: PrometheusServer;
  readonly tenant: TestTenant;
  /** Who can pay for nothing. */
  readonly poor: TestTenant;
  /** One request, whatever becomes of it. */
  ask(
    turn: number,
    body: Readonly<Record<string, unknown>>,
    by?: TestTenant,
    leaving?: AbortSignal,
  ): Promise<void>;
  /** Sends requests of all of these kinds, until it is stopped. */
  load(bodies: readonly Readonly<Record<string, unknown>>[]): Load;
  stop(): Promise<void>;
}

export interface Load {
  stop(): Promise<void>;
}

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const usualPatience = () => AbortSignal.timeout(20_000);
const betweenRequestsMs = 150;
const atOnce = 4;

const models: Readonly<Record<string, string>> = {
  good: 'ttfb_ms=5&tokens_per_second=0&tokens=20',
  running: 'ttfb_ms=5&tokens_per_second=10&tokens=80',
  slow: 'ttfb_ms=5&tokens_per_second=10&tokens=600',
  silent: 'ttfb_ms=5&tokens_per_second=0&tokens=20&fault=no_usage',
  breaking: 'ttfb_ms=5&tokens_per_second=0&tokens=40&fault=cut&after=5',
  failing: 'ttfb_ms=0&fault=refuse_500',
};

export async function buildStage(options: StageOptions): Promise<OperationsStage> {
  const undo = new AsyncDisposableStack();
  try {
    return await build(options, undo);
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

async function build(
  { rules, scrapeEveryMs, env = {} }: StageOptions,
  undo: AsyncDisposableStack,
): Promise<OperationsStage> {
  const postgres = await startPostgres(['fsync=on']);
  undo.defer(() => postgres.stop());
  const redis = await startRedis();
  undo.defer(() => redis.stop());
  const simulator = await startSimulator();
  undo.defer(() => simulator.close());
  const { url: databaseUrl } = await createDatabase(postgres.url);
  const toPostgres = await startTcpProxy(Number(new URL(postgres.url).port));
  undo.defer(() => toPostgres.close());
  const proxied = new URL(databaseUrl);
  proxied.port = String(toPostgres.port);
  const shared = { DATABASE_URL: proxied.href, REDIS_URL: redis.url, DRAIN_SECONDS: '1', ...env };
  const start = async (workers: string) => {
    const gateway = await startGateway({ env: { ...shared, WORKERS: workers }, redoReceipts: false });
    undo.defer(() => gateway.stop());
    return gateway;
  };
  const gateways = [await start('1'), await start('2')] as const;
  const [first] = gateways;
  for (const [name, directives] of Object.entries(models))
    await addProvided(first, { name, url: simulator.url, model: `sim?${directives}` });
  const miscounting = await startMiscountingProvider();
  undo.defer(() => miscounting.close());
  await addProvided(first, { name: 'miscounting', url: miscounting.url, model: 'gpt-4o' });
  const tenant = await addTenant(first, { balance: '1000.00' });
  const poor = await addTenant(first, { balance: '0.000000001' });
  const prometheus = await startPrometheus({
    targets: gateways.map((gateway) => new URL(metricsUrlOf(gateway)).host),
    rules,
    scrapeEveryMs,
  });
  undo.defer(() => prometheus.stop());

  const ask: OperationsStage['ask'] = async (turn, body, by = tenant, leaving = usualPatience()) => {
    await fetch(`${gateways[turn % 2]?.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${by.apiKey}` },
      body: JSON.stringify({ messages, ...body }),
      signal: leaving,
    })
      .then((response) => response.text())
      .catch(() => undefined);
  };
  const load: OperationsStage['load'] = (bodies) => {
    let isOver = false;
    let turn = 0;
    const work = async () => {
      while (!isOver) {
        const body = bodies[turn++ % bodies.length] ?? {};
        await ask(turn, body, body.model === 'good' && turn % 3 === 0 ? poor : tenant);
        await sleep(betweenRequestsMs);
      }
    };
    const working = Promise.all(Array.from({ length: atOnce }, work));
    return {
      stop: async () => {
        isOver = true;
        await working;
      },
    };
  };
  return {
    gateways,
    postgres,
    databaseUrl,
    toPostgres,
    redis,
    prometheus,
    tenant,
    poor,
    ask,
    load,
    stop: () => undo.disposeAsync(),
  };
}

/** A model of a provider of its own, both under one name. */
async function addProvided(
  gateway: TestGateway,
  { name, url, model }: Readonly<Record<'name' | 'url' | 'model', string>>,
): Promise<void> {
  await addModel(gateway, name, {
    baseUrl: url,
    upstreamModel: model,
    provider: name,
    costRates: sectionNineRates,
  });
}
