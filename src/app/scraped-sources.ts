import type { ByteBudget } from '../domain/byte-budget.ts';
import { type Pipeline, usualPendingTtlMs } from '../gateway/pipeline.ts';
import type { HealthOptions } from '../http/health.ts';
import type { DataPlaneBounds } from '../http/serve-dialects.ts';
import type { Heartbeat } from '../jobs/heartbeat.ts';
import { openFigures } from '../ledger/open-figures.ts';
import type { Queue, ScrapedSources } from '../observability/metrics/scraped-gauges.ts';
import type { Stores } from './stores.ts';

interface SourceParts {
  readonly pipeline: Pipeline;
  readonly heartbeat: Heartbeat;
  readonly health: HealthOptions;
  readonly answers: ByteBudget;
  readonly bounds: DataPlaneBounds;
}

/** What the metrics ask for when somebody asks for them. */
export function sourcesOf({ driver, ledger }: Stores, parts: SourceParts): ScrapedSources {
  const { pipeline, heartbeat, health, answers, bounds } = parts;
  const inFlight = () => pipeline.inFlight;
  return {
    queues: {
      requests: { used: inFlight, limit: bounds.maxRequests },
      request_bodies: bytesOf(bounds.bodies),
      answers: bytesOf(answers),
      ledger: ledger.queue,
    },
    inFlight,
    health: health.report,
    heartbeatAtMs: () => heartbeat.takenAtMs,
    pending: () => openFigures(driver.db),
    pendingLimitMs: usualPendingTtlMs,
  };
}

function bytesOf(budget: ByteBudget): Queue {
  return { used: () => budget.held, limit: budget.limit };
}
