import { AggregatorRegistry, Gauge, Registry } from 'prom-client';
import { systemClock, within } from '../../domain/clock.ts';
import type { MetricValues } from './metrics.ts';
import { heartbeatName } from './scraped-gauges.ts';

/** A process whose metrics are told together with those of others. */
export interface MeasuredWorker {
  /** MetricValues of this very program; null where it can't be asked any more. */
  metrics(): Promise<unknown>;
}

/** Longer than what a worker may wait for itself: see scraped-gauges.ts and health.ts. */
const answersWithinMs = 4_000;

/**
 * The metrics of all workers as if they were one process. A counter must never fall: it would be taken for one that began
 * anew, and all of it be counted again. So what a worker has counted stays when it ends or doesn't answer.
 */
export class WorkerMetrics {
  readonly #own = new Registry();
  readonly #workers: Gauge<'state'>;
  readonly #last = new Map<MeasuredWorker, MetricValues>();
  #ended: MetricValues = [];
  #telling: Promise<string> | null = null;

  constructor() {
    this.#workers = new Gauge({
      name: 'tollgate_workers',
      help: 'Workers that have given their metrics for this answer, and that have not',
      labelNames: ['state'],
      registers: [this.#own],
    });
  }

  /**
   * In Prometheus' text format. Whoever asks meanwhile gets the same. A worker that doesn't answer in time is told with what
   * it said last: the others aren't silent for it.
   */
  text(living: ReadonlySet<MeasuredWorker>, patienceMs: number): Promise<string> {
    this.#telling ??= this.#tell([...living], Math.min(answersWithinMs, patienceMs)).finally(() => {
      this.#telling = null;
    });
    return this.#telling;
  }

  async #tell(living: readonly MeasuredWorker[], withinMs: number): Promise<string> {
    await this.#keepOfEnded(living);
    const answers = await Promise.all(living.map((worker) => answerOf(worker, withinMs)));
    const silent: MetricValues[] = [];
    let answering = 0;
    for (const [index, worker] of living.entries()) {
      const answer = answers[index] ?? null;
      if (answer === null) silent.push(stillTrue(this.#last.get(worker) ?? []));
      else {
        answering++;
        this.#last.set(worker, answer);
      }
    }
    this.#workers.set({ state: 'answering' }, answering);
    this.#workers.set({ state: 'silent' }, living.length - answering);
    const told = answers.filter((answer) => answer !== null);
    return await together([...told, ...silent, this.#ended, await this.#own.getMetricsAsJSON()]).metrics();
  }

  async #keepOfEnded(living: readonly MeasuredWorker[]): Promise<void> {
    const ended = [...this.#last].filter(([worker]) => !living.includes(worker));
    if (ended.length === 0) return;
    for (const [worker] of ended) this.#last.delete(worker);
    const values = ended.map(([, last]) => counted(last));
    this.#ended = await together([this.#ended, ...values]).getMetricsAsJSON();
  }
}

async function answerOf(worker: MeasuredWorker, withinMs: number): Promise<MetricValues | null> {
  const answer = worker.metrics().catch(() => null) as Promise<MetricValues | null>;
  return await within(systemClock, answer, withinMs);
}

const counts: ReadonlySet<string> = new Set(['counter', 'histogram']);

/** Of one that doesn't answer, beside what it has counted: when it was last known to live. */
function stillTrue(values: MetricValues): MetricValues {
  return [...counted(values), ...values.filter(({ name }) => name === heartbeatName)];
}

/** What has been counted stays true; what is, of a process that is gone, is not. */
function counted(values: MetricValues): MetricValues {
  // It crosses to here as text or a number, whatever the types say.
  return values.filter(({ type }) => counts.has(String(type)));
}

function together(all: readonly MetricValues[]): Registry {
  return AggregatorRegistry.aggregate(all.map((values) => [...values]));
}
