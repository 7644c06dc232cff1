import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '../test/support/services/postgres.ts';
import { startRedis } from '../test/support/services/redis.ts';
import { median, rounded } from './figures.ts';
import { type BenchGateway, startBenchGateway } from './http/gateway.ts';
import { load } from './http/load.ts';
import { startInstantUpstream } from './http/upstream.ts';
import type { Question } from './question.ts';

/** What the gateway tells of itself, and what it is told to leave out. */
const ways = {
  nothing: { PROMETHEUS_ENABLED: 'false', LOG_LEVEL: 'silent' },
  metrics: { LOG_LEVEL: 'silent' },
  logs: { PROMETHEUS_ENABLED: 'false', LOG_LEVEL: 'info' },
  'metrics and logs': { LOG_LEVEL: 'info' },
} as const;
type Way = keyof typeof ways;
const wayNames = Object.keys(ways) as Way[];

const connections = 32;
const warmUpSeconds = 3;
/** More often than anybody lets Prometheus ask. */
const scrapeEveryMs = 1_000;

const mostShare = 0.1;

interface Round {
  readonly cpuMs: number;
  readonly requests: number;
  readonly failed: number;
}

/** What metrics and logs take of the CPU of a request: gateways with and without them, loaded in turns. */
export const observability: Question = async ({ rounds, seconds }) => {
  await using undo = new AsyncDisposableStack();
  const upstream = await startInstantUpstream();
  undo.defer(() => upstream.stop());
  const gateways = new Map<Way, BenchGateway>();
  for (const way of wayNames) {
    const postgres = await startPostgres();
    undo.defer(() => postgres.stop());
    const redis = await startRedis();
    undo.defer(() => redis.stop());
    const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, ...ways[way] };
    const gateway = await startBenchGateway({ upstreamUrl: upstream.url, env });
    undo.defer(() => gateway.stop());
    gateways.set(way, gateway);
    await load({ ...gateway, connections, seconds: warmUpSeconds });
  }
  const measured = new Map<Way, Round[]>(wayNames.map((way) => [way, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [way, gateway] of gateways) measured.get(way)?.push(await measure(gateway, seconds));
  }
  return answerOf(measured);
};

async function measure(gateway: BenchGateway, seconds: number): Promise<Round> {
  const before = await gateway.cpuSeconds();
  const scraping = new AbortController();
  const scraped = scrapeUntil(gateway, scraping.signal);
  const { requests, failed } = await load({ ...gateway, connections, seconds });
  scraping.abort();
  await scraped;
  return { cpuMs: (((await gateway.cpuSeconds()) - before) * 1_000) / requests, requests, failed };
}

async function scrapeUntil({ metricsUrl }: BenchGateway, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && metricsUrl !== null) {
    await (await fetch(metricsUrl)).text();
    await sleep(scrapeEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

function answerOf(measured: ReadonlyMap<Way, readonly Round[]>) {
  const cpuMsOf = (way: Way) => median((measured.get(way) ?? []).map(({ cpuMs }) => cpuMs));
  const without = cpuMsOf('nothing');
  const shareOf = (way: Way) => (cpuMsOf(way) - without) / cpuMsOf(way);
  const failed = [...measured.values()].flat().reduce((sum, round) => sum + round.failed, 0);
  const share = shareOf('metrics and logs');
  const failures = [
    ...(failed > 0 ? [`${failed} requests were not answered with 200`] : []),
    ...(share > mostShare ? [`metrics and logs take ${rounded(share * 100)}% of the CPU of a request`] : []),
  ];
  return {
    table: wayNames.map((way) => ({
      'the gateway tells': way,
      'CPU a request, ms': rounded(cpuMsOf(way)),
      'of it for that, %': rounded(shareOf(way) * 100),
    })),
    result: {
      question: 'observability',
      connections,
      share,
      mostShare,
      cpuMs: Object.fromEntries(wayNames.map((way) => [way, cpuMsOf(way)])),
      rounds: Object.fromEntries(measured),
    },
    failures,
  };
}
