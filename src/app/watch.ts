import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { systemClock } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import { type MetricsServer, type MetricsServerOptions, startMetricsServer } from '../http/metrics-server.ts';
import { createLogObserver } from '../observability/log-observer.ts';
import { createMetrics, type Metrics, metricsContentType } from '../observability/metrics/metrics.ts';
import type { GatewayObserver } from '../observability/observer.ts';
import { observers } from '../observability/observers.ts';

/** Who is told what this process does. */
export interface Watch {
  readonly log: Logger;
  readonly observer: GatewayObserver;
  /** Null where nobody wants any. */
  readonly metrics: Metrics | null;
}

export function openWatch({ prometheus }: Pick<Config, 'prometheus'>, log: Logger): Watch {
  const logging = createLogObserver(log);
  if (prometheus === null) return { log, observer: observers([logging]), metrics: null };
  const metrics = createMetrics(systemClock);
  return { log, observer: observers([logging, metrics.observer]), metrics };
}

/**
 * Where Prometheus finds the metrics; null where there are none. It is the last to be closed, so that a drain can be
 * watched.
 * @throws Fault where somebody has asked for them and nothing can listen there
 */
export async function openMetricsServer(
  { prometheus }: Pick<Config, 'prometheus'>,
  { text, log }: Pick<MetricsServerOptions, 'text'> & { readonly log: Logger },
  undo: AsyncDisposableStack,
): Promise<MetricsServer | null> {
  if (prometheus === null) return null;
  const { host, port, isAskedFor } = prometheus;
  try {
    const server = await startMetricsServer({ host, port, contentType: metricsContentType, text });
    undo.defer(() => server.close());
    return server;
  } catch (error) {
    const why = `Nothing can listen for Prometheus on port ${port}: ${(error as Error).message}.`;
    if (isAskedFor) throw new Fault('INTERNAL', `${why} Set PROMETHEUS_PORT, or PROMETHEUS_ENABLED=false.`);
    // The port is as usual for Prometheus itself, and whoever tries the gateway beside it needs no metrics to begin.
    log.warn(
      { port, why: (error as Error).message },
      'no metrics: set PROMETHEUS_PORT to a port that is free',
    );
    return null;
  }
}
