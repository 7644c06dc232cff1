import { type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import type { Clock } from '../../domain/clock.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { GatewayObserver } from '../observer.ts';
import { DifferenceGauges } from './difference-gauges.ts';
import { createInstruments } from './instruments.ts';
import { createMeasuredLedger } from './measured-ledger.ts';
import { createMetricsObserver } from './metrics-observer.ts';
import { registerScrapedGauges, type ScrapedSources } from './scraped-gauges.ts';

/** All metrics of a process as they cross to another one. */
export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[];

export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE;

/** The metrics of this process. */
export interface Metrics {
  readonly observer: GatewayObserver;
  /** The same ledger, with its charges counted and timed. */
  measured<Measured extends Ledger>(ledger: Measured): Measured;
  /** From now on these are asked too. */
  scrape(sources: ScrapedSources): void;
  /** In Prometheus' text format. */
  text(): Promise<string>;
  values(): Promise<MetricValues>;
}

export function createMetrics(clock: Clock): Metrics {
  const instruments = createInstruments();
  const { registry } = instruments;
  return {
    observer: createMetricsObserver(instruments, new DifferenceGauges(registry, clock)),
    measured: (ledger) => createMeasuredLedger(ledger, instruments),
    scrape: (sources) => registerScrapedGauges(registry, sources),
    text: () => registry.metrics(),
    values: () => registry.getMetricsAsJSON(),
  };
}
