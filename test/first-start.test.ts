import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GatewayOptions, read, startGateway, type TestGateway } from './support/gateway.ts';

const run = promisify(execFile);
const entry = fileURLToPath(new URL('../bin/tollgate.js', import.meta.url));

let dataDir: string;
let gateway: TestGateway | undefined;

beforeEach(async () => {
  dataDir = join(await mkdtemp(join(tmpdir(), 'tollgate-first-')), 'data');
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  await rm(join(dataDir, '..'), { recursive: true, force: true });
});

/** Started as a user does: with nothing but a port, so that tests don't meet. */
const bare = { ADMIN_TOKEN: '', DEMO: '' };

/** It makes a database: 5 s, and half a minute where a slow machine runs other tests beside it. */
const startFirst = (options: GatewayOptions) => startGateway({ ...options, readyWithinMs: 90_000 });
const madeWithin = { timeout: 120_000 };

/** The command that the gateway prints, run by a shell as it stands. */
async function paste(output: string): Promise<string> {
  const command = output.slice(output.indexOf('curl ')).split('\n\n')[0]!;
  const { stdout } = await run('sh', ['-c', `${command} -sS --max-time 20`]);
  return stdout;
}

describe('the first start', madeWithin, () => {
  it('prints an admin token, an API key and a curl that streams and is billed', async () => {
    gateway = await startFirst({ dataDir, env: bare });
    const output = gateway.output();
    const adminToken = /tga_[\w-]+/.exec(output)?.[0];
    expect(/tg_[\w-]+/.exec(output)).not.toBeNull();
    const stream = await paste(output);
    expect(stream).toContain('"content"');
    expect(stream.trim().endsWith('data: [DONE]')).toBe(true);
    const headers = { authorization: `Bearer ${adminToken}` };
    const answer = await fetch(`${gateway.url}/admin/v1/transactions?tenant_id=demo`, { headers });
    const { data } = (await read(answer)).json;
    expect(data).toMatchObject([
      { type: 'CHARGE', status: 'COMMITTED', model: 'sim-small', usage_method: 'usage' },
      { type: 'TOPUP', status: 'COMMITTED', amount: '10', balance_after: '10' },
    ]);
  });

  it('shows its secrets once, and keeps everything for the next start', async () => {
    gateway = await startFirst({ dataDir, env: bare });
    const first = gateway.output();
    const adminToken = /tga_[\w-]+/.exec(first)?.[0];
    const apiKey = /tg_[\w-]+/.exec(first)?.[0];
    await gateway.stop();
    gateway = await startGateway({ dataDir, env: bare });
    expect(gateway.output()).not.toMatch(/tga?_[\w-]{20}/);
    const tenant = await fetch(`${gateway.url}/admin/v1/tenants/demo`, {
      headers: { authorization: `Bearer ${adminToken}` },
    });
    expect((await read(tenant)).json.quota.balance).toBe('10');
    const models = await fetch(`${gateway.url}/v1/models`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    expect((await read(models)).json.data.map(({ id }: { id: string }) => id)).toEqual([
      'sim-large',
      'sim-small',
    ]);
  });

  it('is healthy, ready and alive, and says of what', async () => {
    gateway = await startGateway({ env: bare });
    const get = async (path: string) => await fetch(`${gateway?.url}${path}`);
    const health = await get('/health');
    expect(health.status).toBe(200);
    expect(await health.json()).toMatchObject({
      status: 'healthy',
      database: { status: 'healthy', latency_ms: expect.any(Number) },
      redis: { status: 'healthy' },
      lua_scripts: { status: 'healthy' },
    });
    expect((await get('/health/ready')).status).toBe(200);
    expect((await get('/health/live')).status).toBe(200);
  });

  it('serves the models of a provider whose key is set at the price book’s rates, and never stores the key', async () => {
    const keys = { OPENAI_API_KEY: 'sk-planted-secret', ANTHROPIC_API_KEY: 'sk-planted-secret' };
    gateway = await startFirst({
      dataDir,
      env: { ...bare, ADMIN_TOKEN: 'test-admin-token-0123456789', ...keys },
    });
    expect(gateway.output()).toMatch(/^OpenAI {8}\d+ models, priced by the price book$/m);
    expect(gateway.output()).toMatch(/^Anthropic {5}\d+ models, priced by the price book$/m);
    const rates = { input_per_1m: '0.15', cache_read_per_1m: '0.075', output_per_1m: '0.6' };
    expect(await gateway.admin('GET', '/models/gpt-4o-mini')).toMatchObject({
      rates: null,
      published_rates: { source: 'genai-prices', rates },
      max_output_tokens: 16_384,
    });
    // Long prompts are served too, at their own price.
    expect(await gateway.admin('GET', '/models/gpt-5.5')).toMatchObject({
      max_input_tokens: null,
      published_rates: { rates: { tiers: [{ above_input_tokens: 271_999, input_per_1m: '10' }] } },
    });
    expect(await gateway.admin('GET', '/models/claude-haiku-4-5')).toMatchObject({
      routes: [{ upstream: 'anthropic' }],
      published_rates: { rates: { cache_write_1h_per_1m: '2' } },
    });
    const upstreams = (await gateway.admin('GET', '/upstreams')).data;
    expect(JSON.stringify(upstreams)).not.toContain('sk-planted');
    await gateway.stop();
    expect(gateway.output()).not.toContain('sk-planted');
    const found = await run('grep', ['-rl', 'sk-planted-secret', dataDir]).catch(({ code }) => code);
    expect(found).toBe(1);
  });
});

async function startFailing(env: Record<string, string>, node = process.execPath) {
  const child = spawn(node, [entry], {
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', DATA_DIR: dataDir, PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, 'exit');
  return { code, stderr };
}

describe('a start that can not be', madeWithin, () => {
  it.each([
    [{ PORT: 'eighty' }, /PORT/],
    [{ ADMIN_TOKEN: 'short' }, /ADMIN_TOKEN: has to be at least 16 characters/],
    [{ DATABASE_URL: 'mysql://x' }, /DATABASE_URL: has to be a URL such as postgres:/],
    [
      { DATABASE_URL: 'postgres://127.0.0.1:1/x' },
      /Postgres at 127\.0\.0\.1:1\/x can't be used as the ledger/,
    ],
    [{ REDIS_URL: 'http://x' }, /REDIS_URL: has to be a URL such as redis:/],
    [
      { REDIS_URL: 'redis://:planted@127.0.0.1:1' },
      /^Redis at 127\.0\.0\.1:1 can't be used as hot state: connect ECONNREFUSED 127\.0\.0\.1:1\n$/,
    ],
    [{ WORKERS: '4' }, /WORKERS: several processes share hot state in Redis: set REDIS_URL/],
    [{ BILLING_ALLOW_NEGATIVE: 'maybe' }, /BILLING_ALLOW_NEGATIVE/],
  ])('says in words what is wrong with %j', async (env, message) => {
    const { code, stderr } = await startFailing(env as Record<string, string>);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('    at ');
  });

  it('says that the data directory is in use, and leaves it to its holder', async () => {
    gateway = await startGateway();
    const { code, stderr } = await startFailing({ DATA_DIR: gateway.dataDir });
    expect(code).toBe(1);
    expect(stderr).toMatch(/in use by another Tollgate process/);
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
  });

  it('says that the port is in use, before anything is made that is shown only once', async () => {
    gateway = await startGateway();
    const { code, stderr } = await startFailing({ PORT: new URL(gateway.url).port });
    expect(code).toBe(1);
    expect(stderr).toMatch(/port is in use/);
    await gateway.stop();
    gateway = await startFirst({ dataDir, env: bare });
    expect(gateway.output()).toMatch(/tga_[\w-]{20}/);
  });

  it('says in one line that Node is too old', async () => {
    // What an older Node tells of itself, in front of the same file.
    const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });
      await import(${JSON.stringify(entry)});`;
    const result = await run(process.execPath, ['--input-type=module', '-e', pretend]).catch(
      (error) => error,
    );
    expect(result.code).toBe(1);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.stderr).toMatch(/needs Node 24 or newer/);
  });
});
