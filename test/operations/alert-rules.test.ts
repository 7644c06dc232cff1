import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath, prometheusPrograms } from '../support/services/find-programs.ts';
import { type PrometheusServer, startPrometheus } from '../support/services/prometheus.ts';
import { waitUntil } from '../support/services/wait-until.ts';
import {
  type AlertRule,
  alertRules,
  filesOf,
  prometheusFolder,
  quickRules,
  testedAlerts,
} from './alert-rules.ts';
import { unknownSeries } from './metric-names.ts';

let rules: readonly AlertRule[];
let names: readonly string[];
beforeAll(async () => {
  rules = await alertRules();
  names = rules.map(({ alert }) => alert);
});

/** What promtool says; one that finds something wrong ends with 1, which throws with what it was. */
async function promtool(...args: readonly string[]): Promise<string> {
  const program = await programPath(prometheusPrograms, 'promtool');
  const { stdout, stderr } = await promisify(execFile)(program, args).catch((error) => {
    throw new Error(`promtool ${args.join(' ')}:\n${error.stdout}${error.stderr}`);
  });
  return stdout + stderr;
}

describe('the alert rules', () => {
  it('are taken by promtool, with the configuration that names them', async () => {
    const files = await filesOf('rules');
    const told = await promtool('check', 'config', join(prometheusFolder, 'prometheus.yml'));
    expect(told).toContain(`${files.length} rule files found`);
    await promtool('check', 'rules', '--lint-fatal', ...files);
  });

  it('fire on their cases and are silent on the neighbours', async () => {
    const files = await filesOf('tests');
    const told = await promtool('test', 'rules', ...files);
    expect(told.match(/SUCCESS/g)).toHaveLength(files.length);
  });

  it('have a case that fires and one that stays silent, each of them', async () => {
    const { firing, silent } = await testedAlerts(names);
    expect(names.filter((name) => !firing.has(name))).toEqual([]);
    expect(names.filter((name) => !silent.has(name))).toEqual([]);
  });

  it('ask for no metric that there is not', async () => {
    expect(await unknownSeries(rules.map(({ expr }) => expr))).toEqual([]);
  });

  it('say how urgent they are, what is wrong, and where the runbook tells of them', async () => {
    const runbook = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const sections = [...runbook.matchAll(/^### (Tollgate\w+)$/gm)].map(([, name]) => name);
    expect(sections.toSorted()).toEqual(names.toSorted());
    for (const { alert, labels, annotations } of rules) {
      expect(labels.severity, alert).toMatch(/^(page|warning|info)$/);
      expect(annotations, alert).toEqual({
        summary: expect.any(String),
        description: expect.any(String),
        runbook: `docs/operations.md#${alert.toLowerCase()}`,
      });
    }
  });
});

describe('the same rules at a faster pace', () => {
  let prometheus: PrometheusServer;
  beforeAll(async () => {
    prometheus = await startPrometheus({ targets: [], rules: await quickRules(60), scrapeEveryMs: 250 });
  });
  afterAll(() => prometheus.stop());

  it('are all taken by a real Prometheus, which fires the one that no gateway answers', async () => {
    const answer = await fetch(`${prometheus.url}/api/v1/rules`);
    const { data } = (await answer.json()) as { data: { groups: { rules: { name: string }[] }[] } };
    const taken = data.groups.flatMap((group) => group.rules.map(({ name }) => name));
    expect(taken.toSorted()).toEqual(names.toSorted());
    await waitUntil({
      what: 'TollgateDown fires',
      isSo: async () => (await prometheus.alerts()).some(({ state }) => state === 'firing'),
      withinMs: 30_000,
    });
    expect(await prometheus.alerts()).toEqual([
      {
        name: 'TollgateDown',
        state: 'firing',
        labels: { job: 'tollgate', severity: 'page' },
        annotations: expect.objectContaining({ summary: 'No gateway answers' }),
      },
    ]);
  });
});
