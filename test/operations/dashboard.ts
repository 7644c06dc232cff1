import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { PrometheusServer } from '../support/services/prometheus.ts';

export const dashboardFile = fileURLToPath(
  new URL('../../ops/grafana/dashboards/tollgate.json', import.meta.url),
);

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat: string;
  }[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
}

export interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
}

export async function readDashboard(): Promise<Dashboard> {
  return JSON.parse(await readFile(dashboardFile, 'utf8')) as Dashboard;
}

export interface DashboardTimes {
  /** Of `$__rate_interval`, as Prometheus writes durations: four times what lies between two scrapes. */
  readonly rateInterval: string;
  /** Of `$__range`: what is shown. */
  readonly range: string;
}

export interface DashboardQuery {
  /** Title of the panel and name of the query. */
  readonly of: string;
  /** As Grafana sends it with every gateway chosen. */
  readonly expression: string;
}

export interface QueryOptions {
  /** Whether what nobody has counted is shown as 0, as it is in Grafana; true unless it is said. */
  readonly fallbacks?: boolean;
}

/** A zero for what is not there: with it a query has data whatever it asks for. */
const fallback = / or (?:on\(\) label_replace\(vector\(0\)(?:, "[^"]*"){4}\)|vector\(0\))/g;

/** Queries that may come to nothing without their fallback though the gateways are used, and why. */
export const emptyWithoutFallback: Readonly<Record<string, string>> = {
  'Requests served, A': 'a gateway that is well refuses nothing because of itself',
  'Answers that broke off, A': 'providers that are well break nothing off',
  'Faults, A': 'a gateway that is well has none',
  'Hot state to ledger difference, B': 'no tenant differs',
};

/** Every query of the dashboard, its annotations included. */
export async function dashboardQueries(
  times: DashboardTimes,
  { fallbacks = true }: QueryOptions = {},
): Promise<readonly DashboardQuery[]> {
  const { panels, annotations } = await readDashboard();
  const sent = (expression: string) =>
    substituted(fallbacks ? expression : expression.replaceAll(fallback, ''), times);
  const ofPanels = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ refId, expr }) => ({ of: `${title}, ${refId}`, expression: sent(expr) })),
  );
  const ofAnnotations = annotations.list.map(({ name, expr }) => ({
    of: `annotation ${name}`,
    expression: sent(expr),
  }));
  return [...ofPanels, ...ofAnnotations];
}

function substituted(expression: string, { rateInterval, range }: DashboardTimes): string {
  return expression
    .replaceAll('$__rate_interval', rateInterval)
    .replaceAll('$__range', range)
    .replaceAll('$instance', '.*');
}

/**
 * The queries of panels that come to no sample now, or to one that is no number: a share of nothing.
 * @throws Error with the query, where Prometheus does not take it
 */
export async function emptyQueries(
  prometheus: Pick<PrometheusServer, 'query'>,
  times: DashboardTimes,
  options: QueryOptions = {},
): Promise<readonly DashboardQuery[]> {
  const empty: DashboardQuery[] = [];
  for (const query of await dashboardQueries(times, options)) {
    if (query.of.startsWith('annotation ')) continue;
    const samples = await prometheus.query(query.expression).catch((cause) => {
      throw new Error(`${query.of}: ${query.expression}: ${cause.message}`, { cause });
    });
    if (samples.every(({ value }) => Number.isNaN(value))) empty.push(query);
  }
  return empty;
}
