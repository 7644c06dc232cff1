import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type PrometheusServer, startPrometheus } from '../support/services/prometheus.ts';
import {
  type Dashboard,
  dashboardQueries,
  emptyQueries,
  emptyWithoutFallback,
  readDashboard,
} from './dashboard.ts';
import { unknownSeries } from './metric-names.ts';

const times = { rateInterval: '1m', range: '1h' };

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await readDashboard();
});

describe('the queries of the dashboard', () => {
  let prometheus: PrometheusServer;
  beforeAll(async () => {
    prometheus = await startPrometheus({ targets: [] });
  });
  afterAll(() => prometheus.stop());

  it('are taken by a real Prometheus, all of them', async () => {
    const queries = await dashboardQueries(times);
    expect(queries.length).toBeGreaterThan(50);
    for (const { of, expression } of queries) {
      expect(expression, of).not.toContain('$');
      await expect(prometheus.query(expression), `${of}: ${expression}`).resolves.toBeInstanceOf(Array);
    }
  });

  it('are told of where they come to nothing, as all do that ask for what nobody counts', async () => {
    const empty = await emptyQueries(prometheus, times);
    const queries = await dashboardQueries(times);
    const answered = queries.filter(({ of }) => !empty.some((one) => one.of === of));
    // A failure that nobody has counted is none: those say 0.
    for (const { expression, of } of answered)
      expect(expression, of).toMatch(/or on\(\) label_replace\(vector\(0\)|or vector\(0\)|^ALERTS/);
    expect(empty.length).toBeGreaterThan(40);
  });

  it('come to nothing at all where nobody counts and no zero stands in', async () => {
    const queries = (await dashboardQueries(times, { fallbacks: false })).filter(
      ({ of }) => !of.startsWith('annotation '),
    );
    for (const { of, expression } of queries) expect(expression, of).not.toContain('vector(');
    expect(await emptyQueries(prometheus, times, { fallbacks: false })).toEqual(queries);
  });

  it('are excused from having data only where a zero stands in', async () => {
    const [shown, bare] = await Promise.all([
      dashboardQueries(times),
      dashboardQueries(times, { fallbacks: false }),
    ]);
    const withFallback = shown.filter(({ expression }, index) => expression !== bare[index]?.expression);
    const names = withFallback.map(({ of }) => of);
    expect(names).toEqual(expect.arrayContaining(Object.keys(emptyWithoutFallback)));
    expect(names.length).toBeGreaterThan(Object.keys(emptyWithoutFallback).length);
  });

  it('ask for no metric that there is not', async () => {
    expect(await unknownSeries((await dashboardQueries(times)).map(({ expression }) => expression))).toEqual(
      [],
    );
  });
});

describe('the panels of the dashboard', () => {
  it('say what they show, in a unit', () => {
    for (const { type, title, description, fieldConfig, targets } of dashboard.panels) {
      if (type === 'row') continue;
      expect(description, title).toMatch(/\.$/);
      expect(fieldConfig?.defaults.unit, title).toBeTruthy();
      if (type !== 'stat')
        for (const { legendFormat } of targets ?? []) expect(legendFormat, title).not.toBe('');
    }
  });

  it('have ids and places of their own', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ title, gridPos: { x, y, w, h } }) => {
      expect(x + w, title).toBeLessThanOrEqual(24);
      return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
  });

  it('are asked of the data source and for the gateways that are chosen', async () => {
    expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
      ['datasource', 'datasource'],
      ['instance', 'query'],
    ]);
    for (const { title, targets = [] } of dashboard.panels) {
      for (const target of targets) {
        expect(target, title).toMatchObject({ datasource: { uid: '$' + '{datasource}' } });
        expect(target.expr, title).toContain('instance=~"$instance"');
      }
    }
  });
});

it('is found by Grafana where the provisioning says', async () => {
  const provisioning = async (path: string) =>
    parse(await readFile(new URL(`../../ops/grafana/provisioning/${path}`, import.meta.url), 'utf8'));
  const { providers } = await provisioning('dashboards/tollgate.yml');
  const compose = parse(await readFile(new URL('../../ops/compose.yaml', import.meta.url), 'utf8'));
  const mounts: readonly string[] = compose.services.grafana.volumes;
  expect(mounts).toContain(`./grafana/dashboards:${providers[0].options.path}:ro`);
  expect(mounts).toContain('./grafana/provisioning:/etc/grafana/provisioning:ro');
  const { datasources } = await provisioning('datasources/prometheus.yml');
  expect(datasources).toEqual([
    expect.objectContaining({ type: 'prometheus', url: 'http://prometheus:9090' }),
  ]);
});
