import { beforeEach, describe, expect, it } from 'vitest';
import { Scrape } from '../../../test/support/metrics.ts';
import type { TenantId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import type { HealthReport } from '../health-report.ts';
import type { RequestSummary } from '../observer.ts';
import { createMetrics, type Metrics } from './metrics.ts';

let metrics: Metrics;
beforeEach(() => {
  metrics = createMetrics({ now: () => 1_700_000_000_000, monotonic: () => 0 });
});

const scrape = async () => new Scrape(await metrics.text());
const dollar = 1_000_000_000n;

const summary: RequestSummary = {
  traceId: null,
  tenantId: 'tenant' as TenantId,
  apiKeyId: null,
  model: 'model',
  provider: 'provider',
  stream: true,
  code: null,
  outcome: 'completed',
  transactionId: '01a48909-e88a-7000-8000-000000000007' as RequestSummary['transactionId'],
  metered: null,
  charge: null,
  unpriced: [],
  exceeded: null,
  latencyMs: 20,
  timeToFirstByteMs: 10,
};

describe('the number of series', () => {
  it('is bounded, whatever names clients and admins think of', async () => {
    const { observer } = metrics;
    for (let count = 0; count < 10_000; count++) {
      const name = `name-${count}`;
      const requested = { ...summary, tenantId: name as TenantId, model: name, provider: name };
      observer.requestEnded(requested);
      observer.requestEnded({ ...requested, code: 'MODEL_NOT_FOUND', outcome: null, transactionId: null });
      observer.charged({
        model: name,
        stream: true,
        metered: { usage: { input: 1, output: 2 }, method: 'usage' },
        amount: nano(1n),
        costAmount: nano(1n),
      });
      observer.tokensCompared({ model: name, counted: 99, reported: 100, percent: 99 });
      observer.upstreamAnswered({ provider: name, result: 200, latencyMs: 1 });
      observer.upstreamAnswered({ provider: name, result: 'connection', latencyMs: 1 });
      observer.fault(`answering ${name}`, new Error('x'), null);
    }
    const { samples } = await scrape();
    expect(samples.length).toBeLessThan(6_000);
    expect(samples.some(({ labels }) => Object.values(labels).includes('name-9999'))).toBe(false);
  });

  it('has a tenant for each that differs, 50 at the most as they are reported, until it does no more', async () => {
    const { observer } = metrics;
    const tenants = Array.from({ length: 50 }, (_, index) => ({
      tenantId: `tenant-${index}` as TenantId,
      amount: nano(dollar / 2n),
      what: [],
    }));
    observer.reconciled({ checked: 90, differing: 60, repaired: 60, amount: nano(30n * dollar), tenants });
    let seen = await scrape();
    expect(seen.samples.filter(({ name }) => name === 'quota_redis_db_diff')).toHaveLength(50);
    expect(seen.sum('quota_redis_db_diff', { tenant_id: 'tenant-7' })).toBe(0.5);
    expect(seen.sum('quota_redis_db_diff_sum')).toBe(30);
    expect(seen.sum('tollgate_reconcile_differing_tenants')).toBe(60);
    observer.reconciled({ checked: 90, differing: 0, repaired: 0, amount: nano(0n), tenants: [] });
    seen = await scrape();
    expect(seen.samples.filter(({ name }) => name === 'quota_redis_db_diff')).toHaveLength(0);
    expect(seen.sum('quota_redis_db_diff_sum')).toBe(0);
  });
});

it('tells how near counts come in sum: what some are over makes up for what others are under', async () => {
  const compare = (counted: number) =>
    metrics.observer.tokensCompared({ model: 'm', counted, reported: 100, percent: 90 });
  compare(110);
  expect((await scrape()).sum('stream_token_accuracy_percent')).toBeCloseTo(90);
  for (let pair = 0; pair < 200; pair++) {
    compare(90);
    compare(110);
  }
  expect((await scrape()).sum('stream_token_accuracy_percent')).toBeGreaterThan(99);
  for (let count = 0; count < 200; count++) compare(80);
  expect((await scrape()).sum('stream_token_accuracy_percent')).toBeCloseTo(80, 0);
});

it('counts a client that left as no error of its upstream', async () => {
  metrics.observer.upstreamAnswered({ provider: 'p', result: 'aborted', latencyMs: 5 });
  metrics.observer.upstreamAnswered({ provider: 'p', result: 429, latencyMs: 5 });
  const seen = await scrape();
  expect(seen.sum('tollgate_upstream_errors_total')).toBeNull();
  expect(seen.sum('tollgate_upstream_responses_total', { status: '429' })).toBe(1);
});

const part = { status: 'healthy', latencyMs: 1, detail: '' } as const;
const report: HealthReport = {
  status: 'degraded',
  database: { ...part, status: 'degraded' },
  redis: { ...part, status: 'unhealthy' },
  luaScripts: part,
};

it('tells nothing of a ledger that does not answer, and all the rest', async () => {
  let figures: () => Promise<{ pending: number; held: ReturnType<typeof nano>; oldestSeconds: number }>;
  figures = async () => ({ pending: 3, held: nano(5n * dollar), oldestSeconds: 7 });
  metrics.scrape({
    queues: { requests: { used: () => 4, limit: 8 } },
    inFlight: () => 4,
    health: async () => report,
    heartbeatAtMs: () => null,
    pending: () => figures(),
    pendingLimitMs: 60_000,
  });
  let seen = await scrape();
  expect(seen.sum('tollgate_pending_transactions')).toBe(3);
  expect(seen.sum('tollgate_pending_hold_amount')).toBe(5);
  expect(seen.sum('tollgate_heartbeat_timestamp_seconds')).toBeNull();
  expect(seen.sum('tollgate_queue_used', { queue: 'requests' })).toBe(4);
  expect(seen.sum('tollgate_part_healthy', { part: 'database' })).toBe(0.5);
  expect(seen.sum('tollgate_part_healthy', { part: 'redis' })).toBe(0);

  for (const away of [() => Promise.reject(new Error('away')), () => new Promise<never>(() => undefined)]) {
    figures = away;
    seen = await scrape();
    expect(seen.sum('tollgate_pending_transactions')).toBeNull();
    expect(seen.sum('tollgate_pending_oldest_seconds')).toBeNull();
    expect(seen.sum('tollgate_requests_in_flight')).toBe(4);
  }
});
