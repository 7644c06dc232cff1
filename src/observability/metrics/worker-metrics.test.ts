import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { beforeEach, expect, it } from 'vitest';
import { Scrape } from '../../../test/support/metrics.ts';
import { heartbeatName } from './scraped-gauges.ts';
import { type MeasuredWorker, WorkerMetrics } from './worker-metrics.ts';

interface TestWorker extends MeasuredWorker {
  readonly served: Counter;
  readonly took: Histogram;
  readonly open: Gauge;
  readonly oldest: Gauge;
  readonly beat: Gauge;
  answers: 'at once' | 'never' | 'not any more';
}

function newWorker(): TestWorker {
  const registry = new Registry();
  const registers = [registry];
  const worker: TestWorker = {
    served: new Counter({ name: 'served_total', help: 'x', registers }),
    took: new Histogram({ name: 'took_seconds', help: 'x', buckets: [1, 10], registers }),
    open: new Gauge({ name: 'open', help: 'x', registers }),
    oldest: new Gauge({ name: 'oldest', help: 'x', aggregator: 'max', registers }),
    beat: new Gauge({ name: heartbeatName, help: 'x', aggregator: 'min', registers }),
    answers: 'at once',
    metrics: async () => {
      if (worker.answers === 'never') return await new Promise(() => undefined);
      // As it crosses from process to process.
      return worker.answers === 'at once'
        ? JSON.parse(JSON.stringify(await registry.getMetricsAsJSON()))
        : null;
    },
  };
  return worker;
}

let workers: Set<TestWorker>;
let first: TestWorker;
let second: TestWorker;
let together: WorkerMetrics;

beforeEach(() => {
  [first, second] = [newWorker(), newWorker()];
  workers = new Set([first, second]);
  together = new WorkerMetrics();
  for (const [index, worker] of [first, second].entries()) {
    worker.served.inc(5);
    worker.took.observe(index === 0 ? 0.5 : 5);
    worker.open.set(2);
    worker.oldest.set(10 * (index + 1));
    worker.beat.set(100);
  }
});

const told = async () => new Scrape(await together.text(workers, 1_000));

it('are added up, or the largest where all tell of the same', async () => {
  const scrape = await told();
  expect(scrape.sum('served_total')).toBe(10);
  expect(scrape.sum('took_seconds_bucket', { le: '1' })).toBe(1);
  expect(scrape.sum('took_seconds_bucket', { le: '10' })).toBe(2);
  expect(scrape.sum('took_seconds_sum')).toBe(5.5);
  expect(scrape.sum('open')).toBe(4);
  expect(scrape.sum('oldest')).toBe(20);
  expect(scrape.sum('tollgate_workers', { state: 'answering' })).toBe(2);
});

it('keep what a worker has counted that has ended, and forget what it had open', async () => {
  await told();
  workers.delete(first);
  const third = newWorker();
  workers.add(third);
  third.served.inc();
  let scrape = await told();
  expect(scrape.sum('served_total')).toBe(11);
  expect(scrape.sum('took_seconds_count')).toBe(2);
  expect(scrape.sum('open')).toBe(2);
  workers.delete(second);
  scrape = await told();
  expect(scrape.sum('served_total')).toBe(11);
  expect(scrape.sum('took_seconds_bucket', { le: '10' })).toBe(2);
});

it.each(['never', 'not any more'] as const)(
  'are told without one that answers %s, with what it had counted, and with it again later',
  async (answers) => {
    await told();
    first.answers = answers;
    second.served.inc();
    second.beat.set(130);
    let scrape = await told();
    expect(scrape.sum('served_total')).toBe(11);
    expect(scrape.sum('open')).toBe(2);
    // It grows old, whoever it is that hangs.
    expect(scrape.sum(heartbeatName)).toBe(100);
    expect(scrape.sum('tollgate_workers', { state: 'silent' })).toBe(1);
    first.answers = 'at once';
    first.served.inc();
    scrape = await told();
    expect(scrape.sum('served_total')).toBe(12);
    expect(scrape.sum('tollgate_workers', { state: 'silent' })).toBe(0);
  },
);

it('are told while none serves yet', async () => {
  workers.clear();
  expect((await told()).sum('tollgate_workers', { state: 'answering' })).toBe(0);
});
