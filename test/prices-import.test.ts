import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addTenant, startGateway, type TestGateway } from './support/gateway.ts';
import { newDataDir, type TestDataDir } from './support/template.ts';

const entry = fileURLToPath(new URL('../bin/tollgate.js', import.meta.url));

let folder: string;
let file: string;
let data: TestDataDir;

const map = {
  'sim/sim-small': { litellm_provider: 'sim', input_cost_per_token: 0.001, output_cost_per_token: 0.002 },
  'openai/other': { litellm_provider: 'openai', input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 },
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-import-'));
  file = join(folder, 'prices.json');
  await writeFile(file, JSON.stringify(map));
  data = await newDataDir();
});

afterAll(async () => {
  await data.remove();
  await rm(folder, { recursive: true, force: true });
});

/** The command as a user runs it. */
async function tollgate(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { PATH = '', HOME = '' } = process.env;
  const options = { env: { PATH, HOME, DATA_DIR: data.path, ...env } };
  const command = ['prices', 'import', file, ...args];
  return await promisify(execFile)(process.execPath, [entry, ...command], options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

describe('tollgate prices import, with no gateway running', () => {
  it('makes nothing in a dry run where there is no ledger', async () => {
    const nowhere = join(folder, 'none');
    const { code, stdout } = await tollgate(['--dry-run'], { DATA_DIR: nowhere });
    expect(code).toBe(0);
    expect(stdout).toContain('2 added');
    expect(existsSync(nowhere)).toBe(false);
  });

  it('says what a dry run would change, does it without one, and has nothing to do a second time', async () => {
    const one = ['--provider', 'openai'];
    expect((await tollgate([...one, '--dry-run'])).stdout).toContain('Would be: 1 added');
    expect((await tollgate(one)).stdout).toContain('Prices: 1 added');
    expect((await tollgate(one)).stdout).toContain('Prices: 0 added, 0 changed, 1 unchanged');
  });

  it('ends with 2 for a command that isn’t one', async () => {
    const { code, stderr, stdout } = await tollgate(['--dry']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: tollgate prices import FILE');
  });
});

describe('tollgate prices import, beside a running gateway', () => {
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await startGateway({ dataDir: data.path, env: { DEMO: 'true' } });
  });

  afterAll(() => gateway.stop());

  const through = (args: readonly string[], token = gateway.adminToken) =>
    tollgate(['--url', gateway.url, ...args], { ADMIN_TOKEN: token });

  it('says how to reach it, and leaves its ledger alone', async () => {
    const { code, stderr, stdout } = await tollgate([]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('in use by another Tollgate process');
    expect(stderr).toContain('--url http://127.0.0.1:8000');
    expect(stderr).not.toContain('    at ');
  });

  it('is refused without a valid admin token', async () => {
    const { code, stderr } = await through([], 'not-an-admin-token');
    expect(code).toBe(1);
    expect(stderr).toContain('refused (401)');
  });

  it('prices the next request, exactly, and changes nothing in a dry run before', async () => {
    const { apiKey } = await addTenant(gateway);
    await gateway.admin('PUT', '/models/booked', {
      routes: [{ upstream: 'sim', upstream_model: 'sim-small' }],
    });
    const ask = () =>
      gateway.call(
        '/v1/chat/completions',
        { model: 'booked', messages: [{ role: 'user', content: 'Hello!' }], max_tokens: 100 },
        { authorization: `Bearer ${apiKey}` },
      );
    expect((await ask()).json.error.code).toBe('MODEL_NOT_PRICED');
    expect((await through(['--dry-run'])).stdout).toContain('Would be: 1 added, 0 changed, 1 unchanged');
    expect((await ask()).json.error.code).toBe('MODEL_NOT_PRICED');
    expect((await through([])).stdout).toContain('Prices: 1 added, 0 changed, 1 unchanged');
    const answer = await ask();
    const { prompt_tokens: input, completion_tokens: output } = answer.json.usage;
    expect(Number(answer.headers.get('x-billing-amount'))).toBe((input + 2 * output) / 1_000);
    expect((await through([])).stdout).toContain('Nothing to change.');
  });

  it('leaves a trace of who imported what', async () => {
    const { data: entries } = await gateway.admin('GET', '/audit?action=price.import');
    expect(entries).toMatchObject([
      {
        actor: 'ADMIN_TOKEN',
        subject: 'litellm',
        detail: { prices: [{ provider: 'sim', model: 'sim-small' }] },
      },
      { actor: 'tollgate prices import', subject: 'litellm', detail: { prices: [{ provider: 'openai' }] } },
    ]);
  });
});
