import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openPostgres } from '../src/ledger/drivers/postgres.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import {
  addModel,
  addTenant,
  serversOf,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './support/gateway.ts';
import { freePort } from './support/services/free-port.ts';
import type { TestDatabase } from './support/services/postgres.ts';
import { type RedisServer, startRedis } from './support/services/redis.ts';
import { newDatabase } from './support/template.ts';

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const soon = { timeout: 30_000, interval: 50 };

let redis: RedisServer;
let simulator: Simulator;
let database: TestDatabase;
let gateway: TestGateway | null = null;
let tenant: TestTenant;

beforeAll(async () => {
  redis = await startRedis();
  simulator = await startSimulator();
  database = await newDatabase();
});

afterEach(async () => {
  await gateway?.stop();
  gateway = null;
});

afterAll(async () => {
  await simulator.close();
  await redis.stop();
  await database.remove();
});

async function start(env: Readonly<Record<string, string>> = {}): Promise<TestGateway> {
  const shared = { DATABASE_URL: database.url, REDIS_URL: redis.url, WORKERS: '2', DRAIN_SECONDS: '20' };
  return await startGateway({ env: { ...shared, ...env } });
}

/** One with a tenant, and a quick and a slow model. */
async function startServing(env: Readonly<Record<string, string>> = {}): Promise<TestGateway> {
  gateway = await start(env);
  tenant = await addTenant(gateway);
  const sim = (tokens: number, perSecond: number) => ({
    baseUrl: simulator.url,
    upstreamModel: `sim?ttfb_ms=0&tokens_per_second=${perSecond}&tokens=${tokens}`,
  });
  await addModel(gateway, 'quick', sim(20, 0));
  await addModel(gateway, 'slow', sim(120, 40));
  return gateway;
}

/** On a connection of its own, so that the next worker has it. */
const ask = (from: TestGateway) =>
  from.call(
    '/v1/chat/completions',
    { model: 'quick', messages },
    { authorization: `Bearer ${tenant.apiKey}`, connection: 'close' },
  );

async function workersOf(from: TestGateway): Promise<number[]> {
  const served = async () => {
    await Promise.all([ask(from), ask(from)]);
    return serversOf(from).length;
  };
  await expect.poll(served, soon).toBeGreaterThanOrEqual(2);
  return serversOf(from);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A stream that takes some seconds; `begun` resolves with its first bytes, `text` with all of them. */
async function stream(from: TestGateway) {
  const response = await fetch(`${from.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tenant.apiKey}` },
    body: JSON.stringify({ model: 'slow', messages, stream: true }),
  });
  const transactionId = response.headers.get('x-billing-transaction-id');
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = decoder.decode((await reader.read()).value, { stream: true });
  const all = async () => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += decoder.decode(part.value, { stream: true });
    }
    return text;
  };
  return { transactionId, text: all() };
}

describe('a gateway with two workers', () => {
  it('welcomes once, serves on one port by both, and bills every request once', async () => {
    const serving = await startServing();
    expect(serving.output().match(/Tollgate is ready/g)).toHaveLength(1);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(serving)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    await expect.poll(() => serversOf(serving), soon).toHaveLength(2);
    expect(serversOf(serving)).not.toContain(serving.process.pid);
    const all = await settledTransactionsOf(serving, tenant.id);
    expect(all.filter(({ type }) => type === 'CHARGE')).toHaveLength(20);
    expect((await fetch(`${serving.url}/health/ready`)).status).toBe(200);
  });

  it('makes its admin token and its demo once, and knows each worker as an instance of its own', async () => {
    const fresh = await newDatabase();
    const first = await start({ DATABASE_URL: fresh.url, ADMIN_TOKEN: '', DEMO: 'true' });
    expect(first.output().match(/tga_[\w-]{20}/g)).toHaveLength(1);
    expect(first.output().match(/API key {7}tg_[\w-]{20}/g)).toHaveLength(1);
    const driver = await openPostgres({ url: fresh.url });
    const instances = async () => {
      await fetch(`${first.url}/health`, { headers: { connection: 'close' } });
      return (await driver.query('SELECT id FROM gateway_instance', [])).length;
    };
    await expect.poll(instances, soon).toBe(2);
    await driver.close();
    await first.stop();
    await fresh.remove();
  });

  it('starts a worker again that dies, and serves meanwhile', async () => {
    const serving = await startServing();
    const before = await workersOf(serving);
    process.kill(before[0]!, 'SIGKILL');
    await expect.poll(() => isRunning(before[0]!), soon).toBe(false);
    expect((await ask(serving)).status).toBe(200);
    const servers = async () => {
      await ask(serving);
      return serversOf(serving).length;
    };
    await expect.poll(servers, soon).toBe(3);
    expect(serving.output()).toContain('a worker ended, and is started again');
    expect(serving.output().match(/Tollgate is ready/g)).toHaveLength(1);
    await expect.poll(async () => (await fetch(`${serving.url}/health/ready`)).status, soon).toBe(200);
  });

  it('keeps its port when all of its workers die at once', async () => {
    const serving = await startServing();
    for (const pid of await workersOf(serving)) process.kill(pid, 'SIGKILL');
    // Node loses a connection that is on its way to a worker that dies: who waits for it asks again.
    const signal = () => AbortSignal.timeout(1_000);
    const status = async () =>
      await fetch(`${serving.url}/health/ready`, { signal: signal() }).then(
        (response) => response.status,
        () => null,
      );
    await expect.poll(status, soon).toBe(200);
    expect((await ask(serving)).status).toBe(200);
  });
});

describe('the end of a gateway with workers', () => {
  it('lets what runs finish, takes no more, and leaves no process', async () => {
    const serving = await startServing();
    const pids = await workersOf(serving);
    const { text } = await stream(serving);
    const exited = once(serving.process, 'exit');
    serving.process.kill('SIGTERM');
    await expect
      .poll(
        () =>
          fetch(serving.url).then(
            () => 'open',
            () => 'refused',
          ),
        soon,
      )
      .toBe('refused');
    expect(serving.process.exitCode).toBeNull();
    expect(await text).toContain('[DONE]');
    expect(await exited).toEqual([0, null]);
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('cuts and charges what takes longer than the drain', async () => {
    const serving = await startServing({ DRAIN_SECONDS: '0' });
    const { transactionId, text } = await stream(serving);
    const exited = once(serving.process, 'exit');
    serving.process.kill('SIGTERM');
    expect(await text.catch(() => '')).not.toContain('[DONE]');
    expect(await exited).toEqual([0, null]);
    const driver = await openPostgres({ url: database.url });
    const rows = await driver.query('SELECT status FROM billing_transaction WHERE id = $1', [transactionId]);
    await driver.close();
    expect(rows).toEqual([{ status: 'COMMITTED' }]);
  });

  it('comes at once with a second signal', async () => {
    const serving = await startServing();
    const pids = await workersOf(serving);
    const { text } = await stream(serving);
    text.catch(() => undefined);
    const exited = once(serving.process, 'exit');
    serving.process.kill('SIGTERM');
    // One Ctrl-C may come twice: signals of one second count as one.
    await sleep(1_200);
    serving.process.kill('SIGTERM');
    expect(await exited).toEqual([1, null]);
    await expect.poll(() => pids.filter(isRunning), soon).toEqual([]);
    await expect(text).rejects.toThrow();
  });

  it('comes to the workers too when their supervisor is killed: what runs is finished and billed', async () => {
    const serving = await startServing();
    const pids = await workersOf(serving);
    const { transactionId, text } = await stream(serving);
    await serving.kill();
    expect(await text).toContain('[DONE]');
    await expect.poll(() => pids.filter(isRunning), soon).toEqual([]);
    await serving.stop();
    gateway = await start();
    const { data } = await gateway.admin('GET', `/transactions?tenant_id=${tenant.id}`);
    expect(data).toContainEqual(expect.objectContaining({ id: transactionId, status: 'COMMITTED' }));
  });
});

describe('a supervisor that is killed', () => {
  it('with a connection on its way to a worker costs the worker nothing that runs', async () => {
    const serving = await startServing();
    const pids = await workersOf(serving);
    const { text } = await stream(serving);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    const { port } = new URL(serving.url);
    const sockets = Array.from({ length: 4 }, () => connect(Number(port), '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => undefined);
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    await sleep(100);
    await serving.kill();
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    expect(await text).toContain('[DONE]');
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => pids.filter(isRunning), soon).toEqual([]);
    await serving.stop();
  });

  it('before its workers listen takes them with it', async () => {
    const fresh = await newDatabase();
    const port = await freePort();
    const supervisor = spawn(process.execPath, ['bin/tollgate.js'], {
      env: { ...process.env, DATABASE_URL: fresh.url, REDIS_URL: redis.url, WORKERS: '2', PORT: `${port}` },
      stdio: 'ignore',
    });
    const children = () =>
      readFileSync(`/proc/${supervisor.pid}/task/${supervisor.pid}/children`, 'utf8')
        .split(' ')
        .filter(Boolean)
        .map(Number);
    await expect.poll(() => children().length, { timeout: 20_000, interval: 5 }).toBe(2);
    const pids = children();
    await sleep(150);
    supervisor.kill('SIGTERM');
    await expect.poll(() => pids.filter(isRunning), { timeout: 15_000, interval: 50 }).toEqual([]);
    await fresh.remove();
  });
});

describe('a gateway with workers that can not start', () => {
  /** What it printed before it ended with an error; the first line is the test's own. */
  async function failure(env: Readonly<Record<string, string>>): Promise<string> {
    const { message } = await start(env).then(
      (unexpected) => unexpected.stop().then(() => new Error('it started')),
      (error: Error) => error,
    );
    return message.slice(message.indexOf('\n') + 1).trim();
  }

  it('says so once where Redis can not be reached', async () => {
    expect(await failure({ REDIS_URL: `redis://127.0.0.1:${await freePort()}` })).toMatch(
      /^Redis at 127\.0\.0\.1:\d+ can't be used as hot state: connect ECONNREFUSED [\d.:]+$/,
    );
  });

  it('says so once where the port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' ? address?.port : 0;
    expect(await failure({ PORT: `${port}` })).toBe(
      'The port is in use: stop what listens there, or set PORT.',
    );
    taken.close();
  });

  it('gives up when its workers end at their start again and again, before anything is shown only once', async () => {
    const fresh = await newDatabase();
    const ends = `data:text/javascript,if (process.env.TOLLGATE_WORKER) process.exit(7)`;
    const env = { DATABASE_URL: fresh.url, ADMIN_TOKEN: '', NODE_OPTIONS: `--import="${ends}"` };
    const printed = await failure(env);
    expect(printed).toContain('Workers ended 5 times in a row when they started');
    expect(printed).toContain('exit code 7');
    expect(printed).not.toContain('tga_');
    const driver = await openPostgres({ url: fresh.url });
    expect(await driver.query('SELECT name FROM admin_token', [])).toEqual([]);
    await driver.close();
    await fresh.remove();
  });
});
