import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programPath, prometheusPrograms } from './find-programs.ts';
import { freePort } from './free-port.ts';
import { startServerProcess } from './server-process.ts';
import { waitUntil } from './wait-until.ts';

export interface PrometheusOptions {
  /** `host:port` of what has `/metrics`: each is an instance of the job `tollgate`. */
  readonly targets: readonly string[];
  /** Whole rule files, as text. */
  readonly rules?: readonly string[];
  /** Between two scrapes, and between two evaluations of the rules. */
  readonly scrapeEveryMs?: number;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ActiveAlert {
  readonly name: string;
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface PrometheusServer {
  readonly url: string;
  /**
   * What the expression comes to now, or at another time (milliseconds since 1970): of a scalar one sample without
   * labels. @throws Error with what Prometheus says against it
   */
  query(expression: string, atMs?: number): Promise<readonly Sample[]>;
  /** Those that are pending or firing. */
  alerts(): Promise<readonly ActiveAlert[]>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

const startsWithinMs = 30_000;
const answersWithinMs = 10_000;
const usualIntervalMs = 1_000;

/** A Prometheus of the test's own on a free port of loopback, with what it has scraped in a temporary folder. */
export async function startPrometheus(options: PrometheusOptions): Promise<PrometheusServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-prometheus-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await writeConfiguration(folder, options);
    return await run(folder, remove);
  } catch (error) {
    await remove();
    throw error;
  }
}

/** JSON is YAML too. */
async function writeConfiguration(folder: string, options: PrometheusOptions): Promise<void> {
  const { targets, rules = [], scrapeEveryMs = usualIntervalMs } = options;
  const every = `${scrapeEveryMs}ms`;
  await mkdir(join(folder, 'rules'));
  for (const [index, text] of rules.entries()) await writeFile(join(folder, 'rules', `${index}.yml`), text);
  const config = {
    global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: every },
    rule_files: ['rules/*.yml'],
    scrape_configs: [{ job_name: 'tollgate', static_configs: [{ targets }] }],
  };
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
}

async function run(folder: string, remove: () => Promise<void>): Promise<PrometheusServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = await startServerProcess({
    program: await programPath(prometheusPrograms),
    args: [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    cwd: folder,
    endSignal: 'SIGKILL',
    temporaryFolder: folder,
  });
  const ready = {
    what: `Prometheus is ready on port ${port}`,
    isSo: async () => (await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(1_000) })).ok,
    withinMs: startsWithinMs,
    giveUp: server.requireRunning,
  };
  await waitUntil(ready).catch(async (error) => {
    await server.end();
    throw error;
  });
  return {
    url,
    query: (expression, atMs) => query(url, expression, atMs),
    alerts: () => alerts(url),
    stop: async () => {
      await server.end();
      await remove();
    },
  };
}

async function ask<T>(url: string, path: string, parameters: Record<string, string> = {}): Promise<T> {
  const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`, {
    signal: AbortSignal.timeout(answersWithinMs),
  });
  const answer = (await response.json()) as { status: string; data: T; error?: string };
  if (answer.status !== 'success') throw new Error(`Prometheus, asked for ${path}: ${answer.error}`);
  return answer.data;
}

type Point = readonly [atSeconds: number, value: string];

type QueryData =
  | {
      readonly resultType: 'vector';
      readonly result: readonly { readonly metric: Record<string, string>; readonly value: Point }[];
    }
  | { readonly resultType: 'scalar'; readonly result: Point };

async function query(url: string, expression: string, atMs?: number): Promise<readonly Sample[]> {
  const at = atMs === undefined ? {} : { time: `${atMs / 1000}` };
  const data = await ask<QueryData>(url, 'query', { query: expression, ...at });
  if (data.resultType === 'scalar') return [{ labels: {}, value: numberOf(data.result) }];
  return data.result.map(({ metric, value }) => ({ labels: metric, value: numberOf(value) }));
}

function numberOf([, text]: Point): number {
  if (/^[+-]Inf$/.test(text)) return text === '+Inf' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  return Number(text);
}

interface AlertsData {
  readonly alerts: readonly (Omit<ActiveAlert, 'name'> & {
    readonly labels: { readonly alertname: string };
  })[];
}

async function alerts(url: string): Promise<readonly ActiveAlert[]> {
  const data = await ask<AlertsData>(url, 'alerts');
  return data.alerts.map(({ labels: { alertname, ...labels }, annotations, state }) => ({
    name: alertname,
    state,
    labels,
    annotations,
  }));
}
