import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AnyJson } from './admin-plane.ts';
import { expectReceiptToExplain } from './receipts.ts';
import { newDataDir } from './template.ts';

const entry = fileURLToPath(new URL('../../bin/tollgate.js', import.meta.url));
/** Every start compiles the same code, which takes a fifth of it: each finds what those before it have compiled. */
const compileCache = { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? '' };
/** Of a start that finds its database made. */
const usuallyReadyWithinMs = 30_000;

export interface GatewayOptions {
  /** Kept when the gateway ends; a fresh directory, removed at the end, where none is given. */
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether every receipt is redone when it is stopped, as it is unless this says no. */
  readonly redoReceipts?: boolean;
  /** 30 s where it isn't told. */
  readonly readyWithinMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: AnyJson;
}

/** A gateway as a user runs it: a process of its own, on a free port. */
export interface TestGateway {
  readonly url: string;
  readonly adminToken: string;
  readonly dataDir: string;
  readonly process: ChildProcess;
  /** Everything it has printed and logged so far. */
  output(): string;
  /** An admin call that has to succeed. */
  admin(method: string, path: string, body?: unknown): Promise<AnyJson>;
  adminCall(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** A call of the data plane. */
  call(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Ends it, and removes what is only its own. */
  stop(): Promise<void>;
  /** Ends it at once, like a power switch for the process. */
  kill(): Promise<void>;
}

async function waitForReady(
  child: ChildProcess,
  output: () => string,
  readyWithinMs: number,
): Promise<string> {
  const deadline = Date.now() + readyWithinMs;
  while (Date.now() < deadline) {
    const url = /ready on (http:\S+)/.exec(output())?.[1];
    if (url !== undefined) return url;
    if (child.exitCode !== null) break;
    await sleep(20);
  }
  child.kill('SIGKILL');
  throw new Error(`the gateway did not get ready:\n${output()}`);
}

export async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  let json: AnyJson;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

export async function startGateway(options: GatewayOptions = {}): Promise<TestGateway> {
  const own = options.dataDir === undefined ? await newDataDir() : null;
  const dataDir = options.dataDir ?? own?.path ?? '';
  // One that is to choose its own is given an empty one.
  const adminToken = options.env?.ADMIN_TOKEN || 'test-admin-token-0123456789';
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: process.env.HOME ?? '',
    DATA_DIR: dataDir,
    PORT: '0',
    PROMETHEUS_PORT: '0',
    ADMIN_TOKEN: adminToken,
    DEMO: 'false',
    LOG_LEVEL: 'info',
    ...compileCache,
    ...options.env,
  };
  const child = spawn(process.execPath, [entry], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const printed: string[] = [];
  child.stdout.on('data', (chunk) => printed.push(String(chunk)));
  child.stderr.on('data', (chunk) => printed.push(String(chunk)));
  const output = () => printed.join('');
  const url = await waitForReady(child, output, options.readyWithinMs ?? usuallyReadyWithinMs);

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    }
  }

  async function adminCall(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return await read(
      await fetch(`${url}/admin/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
  }

  const gateway: TestGateway = {
    url,
    adminToken,
    dataDir,
    process: child,
    output,
    adminCall,
    admin: async (method, path, body) => {
      const answer = await adminCall(method, path, body);
      if (answer.status > 299) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
      return answer.json;
    },
    call: async (path, body, headers = {}) =>
      await read(
        await fetch(`${url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      ),
    stop: async () => {
      try {
        // A test that makes its gateway choose an admin token of its own looks for itself.
        const isRunning = child.exitCode === null && child.signalCode === null;
        const mayAsk = options.redoReceipts !== false && env.ADMIN_TOKEN === adminToken;
        if (isRunning && mayAsk) await expectReceipts(gateway);
      } finally {
        await end('SIGTERM');
      }
      await own?.remove();
    },
    kill: () => end('SIGKILL'),
  };
  return gateway;
}

/** The receipt of every charge of the run comes to its amount: checked wherever a gateway is stopped. */
async function expectReceipts(gateway: TestGateway): Promise<void> {
  const charges = await everyTransaction(gateway, 'type=CHARGE&status=COMMITTED');
  const waiting = charges.values();
  async function work(): Promise<void> {
    for (const { id } of waiting) expectReceiptToExplain(await gateway.admin('GET', `/transactions/${id}`));
  }
  await Promise.all(Array.from({ length: 8 }, work));
}

export interface TestTenant {
  readonly id: string;
  readonly apiKey: string;
}

/** A tenant with an API key. */
export async function addTenant(
  gateway: TestGateway,
  values: Readonly<Record<string, unknown>> = { balance: '100.00' },
): Promise<TestTenant> {
  const { id } = await gateway.admin('POST', '/tenants', { name: 'test', ...values });
  const { secret } = await gateway.admin('POST', `/tenants/${id}/api-keys`, { name: 'test' });
  return { id, apiKey: secret };
}

export const sectionNineRates = { input_per_1k: '0.001', output_per_1k: '0.002' };

/** A model on an upstream of its own. */
export async function addModel(
  gateway: TestGateway,
  model: string,
  upstream: Readonly<{ baseUrl: string; upstreamModel?: string; provider?: string; costRates?: object }>,
  values: Readonly<Record<string, unknown>> = { rates: sectionNineRates },
): Promise<void> {
  const id = `up-${model.replaceAll(/[^A-Za-z0-9.-]/g, '-')}`.slice(0, 100);
  await gateway.admin('POST', '/upstreams', {
    id,
    dialects: ['openai.chat'],
    base_url: upstream.baseUrl,
    ...(upstream.provider === undefined ? {} : { provider: upstream.provider }),
  });
  await gateway.admin('PUT', `/models/${encodeURIComponent(model)}`, {
    routes: [
      {
        upstream: id,
        upstream_model: upstream.upstreamModel ?? model,
        ...(upstream.costRates === undefined ? {} : { cost_rates: upstream.costRates }),
      },
    ],
    ...values,
  });
}

/** The processes that have served a request so far, by their log. */
export function serversOf({ output }: Pick<TestGateway, 'output'>): number[] {
  const lines = output().split('\n');
  const requests = lines.filter((line) => line.includes('"msg":"request"'));
  return [...new Set(requests.map((line) => Number(JSON.parse(line).pid)))];
}

/** Every transaction of a tenant, oldest first. */
export async function transactionsOf(gateway: TestGateway, tenantId: string): Promise<AnyJson[]> {
  return await everyTransaction(gateway, `tenant_id=${tenantId}`);
}

async function everyTransaction(gateway: TestGateway, filter: string): Promise<AnyJson[]> {
  const all: AnyJson[] = [];
  let cursor = '';
  do {
    const page = await gateway.admin('GET', `/transactions?${filter}&limit=200${cursor}`);
    all.push(...page.data);
    cursor = page.next_cursor === null ? '' : `&cursor=${encodeURIComponent(page.next_cursor)}`;
  } while (cursor !== '');
  return all.reverse();
}

/** Waits, bounded, until nothing of the tenant is PENDING: what ends behind an answer has then ended. */
export async function settledTransactionsOf(gateway: TestGateway, tenantId: string): Promise<AnyJson[]> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const all = await transactionsOf(gateway, tenantId);
    if (all.every(({ status }) => status !== 'PENDING')) return all;
    await sleep(50);
  }
  throw new Error(`a transaction of ${tenantId} stays PENDING`);
}
