import { Gauge, type Registry } from 'prom-client';
import { systemClock, within } from '../../domain/clock.ts';
import type { NanoUsd } from '../../domain/money.ts';
import type { HealthReport, Status } from '../health-report.ts';
import { unitsOf } from './units.ts';

/** Something that fills up. */
export interface Queue {
  /** What waits or is held. */
  used(): number;
  /** Where it is full. */
  readonly limit: number;
}

/** What isn't told of but asked for, when somebody wants to know. */
export interface ScrapedSources {
  readonly queues: Readonly<Record<string, Queue>>;
  readonly inFlight: () => number;
  readonly health: () => Promise<HealthReport>;
  /** By the clock of the wall; null before the first. */
  readonly heartbeatAtMs: () => number | null;
  /** Rejects, or takes long, where the ledger is away. */
  readonly pending: () => Promise<PendingFigures>;
  /** At this age a transaction expires. */
  readonly pendingLimitMs: number;
}

interface PendingFigures {
  readonly pending: number;
  readonly held: NanoUsd;
  readonly oldestSeconds: number;
}

export const heartbeatName = 'tollgate_heartbeat_timestamp_seconds';

/** What can't be told in this time isn't told: Prometheus waits for the rest. */
const askedForMs = 2_000;

/** Asked for all metrics, each of them asks its source, and tells nothing where that has nothing to say. */
export function registerScrapedGauges(registry: Registry, sources: ScrapedSources): void {
  registerProcessGauges(registry, sources);
  registerLedgerGauges(registry, sources);
}

function registerProcessGauges(registry: Registry, sources: ScrapedSources): void {
  const { queues, inFlight, health, heartbeatAtMs } = sources;
  const registers = [registry];
  new Gauge({
    name: 'tollgate_requests_in_flight',
    help: 'Requests that are being answered or settled',
    registers,
    collect() {
      this.set(inFlight());
    },
  });
  new Gauge({
    name: 'tollgate_queue_used',
    help: 'What waits or is held',
    labelNames: ['queue'],
    aggregator: 'max',
    registers,
    collect() {
      for (const [queue, { used }] of Object.entries(queues)) this.set({ queue }, used());
    },
  });
  new Gauge({
    name: 'tollgate_queue_limit',
    help: 'Where it is full',
    labelNames: ['queue'],
    aggregator: 'max',
    registers,
    collect() {
      for (const [queue, { limit }] of Object.entries(queues)) this.set({ queue }, limit);
    },
  });
  new Gauge({
    name: heartbeatName,
    help: "When the ledger last took this process' heartbeat",
    aggregator: 'min',
    registers,
    collect() {
      const atMs = heartbeatAtMs();
      if (atMs === null) this.remove();
      else this.set(atMs / 1000);
    },
  });
  new Gauge({
    name: 'tollgate_part_healthy',
    help: '1 healthy, 0.5 degraded, 0 unhealthy',
    labelNames: ['part'],
    aggregator: 'min',
    registers,
    async collect() {
      const { database, redis, luaScripts } = await health();
      const parts = { database, redis, lua_scripts: luaScripts };
      for (const [part, { status }] of Object.entries(parts)) this.set({ part }, degree[status]);
    },
  });
}

const degree: Readonly<Record<Status, number>> = { healthy: 1, degraded: 0.5, unhealthy: 0 };

/** The whole ledger's: every process tells the same. */
function registerLedgerGauges(registry: Registry, { pending, pendingLimitMs }: ScrapedSources): void {
  const ask = shared(pending);
  const gauges = [
    ['tollgate_pending_transactions', 'Open transactions', (all: PendingFigures) => all.pending],
    ['tollgate_pending_hold_amount', 'What they hold', ({ held }: PendingFigures) => unitsOf(held)],
    ['tollgate_pending_oldest_seconds', 'Age of the oldest', (all: PendingFigures) => all.oldestSeconds],
  ] as const;
  for (const [name, help, read] of gauges) {
    new Gauge({
      name,
      help,
      aggregator: 'max',
      registers: [registry],
      async collect() {
        const figures = await ask();
        if (figures === null) this.remove();
        else this.set(read(figures));
      },
    });
  }
  new Gauge({
    name: 'tollgate_pending_limit_seconds',
    help: 'At this age a transaction expires',
    aggregator: 'max',
    registers: [registry],
    collect() {
      this.set(pendingLimitMs / 1000);
    },
  });
}

/** Asked by several at once it asks once, and it waits for one answer at a time; null where none came in time. */
function shared<T>(ask: () => Promise<T>): () => Promise<T | null> {
  let asking: Promise<T | null> | null = null;
  return () => {
    asking ??= ask()
      .catch(() => null)
      .finally(() => {
        asking = null;
      });
    return within(systemClock, asking, askedForMs);
  };
}
