import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cpuSecondsOf, pinnedTo } from './pinned.ts';

export interface BenchGateway {
  readonly url: string;
  /** Null where it was told to have none. */
  readonly metricsUrl: string | null;
  readonly apiKey: string;
  /** Used since its start. */
  cpuSeconds(): Promise<number>;
  stop(): Promise<void>;
}

const entry = fileURLToPath(new URL('../../bin/tollgate.js', import.meta.url));
const adminToken = 'bench-admin-token-0123456789';
const readyWithinMs = 60_000;

export interface BenchGatewayOptions {
  readonly upstreamUrl: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A gateway as it is run, logging to a file, with one tenant that has money and one model of the upstream. */
export async function startBenchGateway({ upstreamUrl, env }: BenchGatewayOptions): Promise<BenchGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-bench-'));
  const log = join(folder, 'log');
  const file = await open(log, 'w');
  const [program = '', ...args] = [...(await pinnedTo('gateway')), process.execPath, entry];
  const child = spawn(program, args, {
    stdio: ['ignore', file.fd, file.fd],
    env: {
      PATH: process.env.PATH ?? '',
      DATA_DIR: folder,
      PORT: '0',
      PROMETHEUS_PORT: '0',
      ADMIN_TOKEN: adminToken,
      DEMO: 'false',
      ...env,
    },
  });
  await file.close();
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const told = await untilReady(log, () => child.exitCode !== null);
    const url = /ready on (http:\S+)/.exec(told)?.[1] ?? '';
    const apiKey = await setUp(url, upstreamUrl);
    return {
      url: `${url}/v1/chat/completions`,
      metricsUrl: /^Metrics +(http:\S+)$/m.exec(told)?.[1] ?? null,
      apiKey,
      cpuSeconds: () => cpuSecondsOf(child.pid ?? 0),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function untilReady(log: string, hasEnded: () => boolean): Promise<string> {
  const deadline = performance.now() + readyWithinMs;
  for (;;) {
    const told = await readFile(log, 'utf8');
    if (told.includes('ready on ')) return told;
    if (hasEnded() || performance.now() > deadline) throw new Error(`the gateway does not serve:\n${told}`);
    await sleep(50);
  }
}

/** @returns an API key */
async function setUp(url: string, upstreamUrl: string): Promise<string> {
  const admin = async (method: string, path: string, body: object) => {
    const response = await fetch(`${url}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as { readonly id: string; readonly secret: string };
  };
  await admin('POST', '/upstreams', { id: 'bench', dialects: ['openai.chat'], base_url: upstreamUrl });
  await admin('PUT', '/models/bench', {
    routes: [{ upstream: 'bench', upstream_model: 'bench' }],
    rates: { input_per_1k: '0.001', output_per_1k: '0.002' },
  });
  const { id } = await admin('POST', '/tenants', { name: 'bench', balance: '1000000' });
  const { secret } = await admin('POST', `/tenants/${id}/api-keys`, { name: 'bench' });
  return secret;
}
