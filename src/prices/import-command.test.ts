import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PublishedPrice } from '../catalog/catalog.ts';
import { Fault } from '../domain/errors.ts';
import { runPricesCommand } from './import-command.ts';
import type { PriceStore } from './price-store.ts';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-prices-'));
  file = join(folder, 'prices.json');
  await writeMap(small);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const writeMap = (map: unknown) => writeFile(file, JSON.stringify(map));

const small = {
  'gpt-5': {
    litellm_provider: 'openai',
    input_cost_per_token: 1.25e-6,
    output_cost_per_token: 1.1e-5,
    input_cost_per_token_above_272k_tokens: 2.5e-6,
  },
  'groq/tiny': { litellm_provider: 'groq', input_cost_per_token: 1e-8, output_cost_per_token: 2e-8 },
  whisper: { litellm_provider: 'openai', input_cost_per_second: 0.0001 },
};

/** A store in memory that remembers what was done to it. */
function memoryStore() {
  const prices = new Map<string, PublishedPrice>();
  const calls: string[] = [];
  const store: PriceStore = {
    list: async () => [...prices.values()],
    put: async (sent, source) => {
      calls.push(`put ${sent.length} of ${source}`);
      for (const price of sent) prices.set(`${price.provider} ${price.model}`, price);
    },
    close: async () => {
      calls.push('close');
    },
  };
  return { store, prices, calls };
}

async function run(
  args: readonly string[],
  store: PriceStore | Error = memoryStore().store,
  environment = {},
) {
  let output = '';
  let errors = '';
  const exitCode = await runPricesCommand({
    args,
    environment,
    print: (text) => {
      output += text;
    },
    printError: (text) => {
      errors += text;
    },
    openStore: async () => {
      if (store instanceof Error) throw store;
      return store;
    },
    nowMs: Date.parse('2026-11-23T12:00:00Z'),
  });
  return { exitCode, output, errors };
}

describe('importing prices', () => {
  it('writes what is new, in one go, and says so', async () => {
    const { store, prices, calls } = memoryStore();
    const { exitCode, output } = await run(['import', file], store);
    expect(exitCode).toBe(0);
    expect(calls).toEqual(['put 2 of litellm', 'close']);
    expect(prices.get('openai gpt-5')?.prices).toEqual({
      rates: { input: 1_250_000_000n, output: 11_000_000_000n },
      tiers: [{ aboveInputTokens: 272_000, rates: { input: 2_500_000_000n } }],
    });
    expect(output).toContain('prices.json: 2 prices of 2 providers, 1 skipped');
    expect(output).toContain('Prices: 2 added, 0 changed, 0 unchanged');
    expect(output).toContain('1  is paid by input_cost_per_second');
    expect(output).toContain('Imported: 2 prices.');
  });

  it('changes nothing in a dry run, and prints what would change', async () => {
    const { store, prices, calls } = memoryStore();
    const { exitCode, output } = await run(['import', file, '--dry-run'], store);
    expect(exitCode).toBe(0);
    expect(calls).toEqual(['close']);
    expect(prices.size).toBe(0);
    expect(output).toContain('Would be: 2 added, 0 changed, 0 unchanged');
    expect(output).toContain('Dry run: nothing was changed.');
  });

  it('finds nothing to do the second time', async () => {
    const { store, calls } = memoryStore();
    await run(['import', file], store);
    const { output } = await run(['import', file], store);
    expect(calls).toEqual(['put 2 of litellm', 'close', 'close']);
    expect(output).toContain('Prices: 0 added, 0 changed, 2 unchanged');
    expect(output).toContain('Nothing to change.');
  });

  it('names each member that changes, from what to what, and keeps what the file lacks', async () => {
    const { store, calls } = memoryStore();
    await run(['import', file], store);
    const { 'gpt-5': gpt } = small;
    const { input_cost_per_token_above_272k_tokens: _, ...flat } = gpt;
    await writeMap({
      'gpt-5': {
        ...flat,
        output_cost_per_token: 0.000012,
        input_cost_per_token_flex: 5e-7,
        max_output_tokens: 9,
      },
    });
    const { output } = await run(['import', file], store);
    expect(output).toContain('Prices: 0 added, 1 changed, 0 unchanged, 1 imported earlier stay');
    expect(output).toContain(
      [
        'Changed:',
        '  openai gpt-5',
        '      max_output_tokens  none -> 9',
        '      output_per_1m  11 -> 12',
        '      service_tiers.flex.input_per_1m  none -> 0.5',
        '      tiers.above 272000.input_per_1m  2.5 -> none',
      ].join('\n'),
    );
    expect(calls).toContain('put 1 of litellm');
  });

  it('shows the built-in price that an added one takes the place of', async () => {
    const brief = await run(['import', file, '--dry-run']);
    expect(brief.output).toMatch(/openai +1 {3}1 in place of another built-in price/);
    expect(brief.output).toMatch(/groq +1\n/);
    const { output } = await run(['import', file, '--dry-run', '--verbose']);
    expect(output).toContain('  openai gpt-5   (built-in price -> this one)');
    expect(output).toContain('      output_per_1m  10 -> 11');
    // The built-in fee stays where the file has none.
    expect(output).not.toContain('per_web_search');
    expect(output).toContain('  whisper is paid by input_cost_per_second');
  });

  it('takes only the providers that are asked for, by any of their names', async () => {
    const { store, prices } = memoryStore();
    const { output } = await run(['import', file, '--provider', 'GROQ'], store);
    expect([...prices.keys()]).toEqual(['groq tiny']);
    expect(output).toContain('1 price of 1 provider, 0 skipped');
    const unknown = await run(['import', file, '--provider', 'grok', '--provider', 'openai'], store);
    expect(unknown.exitCode).toBe(2);
    expect(unknown.errors).toContain('has no provider "grok"; it has: groq, openai.');
  });

  it('prints one JSON document for a machine', async () => {
    const { output } = await run(['import', file, '--dry-run', '--json']);
    expect(JSON.parse(output)).toMatchObject({
      file: 'prices.json',
      dry_run: true,
      prices: 2,
      added: [
        { provider: 'groq', model: 'tiny', over_built_in: null },
        { provider: 'openai', model: 'gpt-5' },
      ],
      changed: [],
      unchanged: 0,
      skipped: [{ key: 'whisper', reason: expect.stringContaining('input_cost_per_second') }],
    });
  });

  it('closes what it opened when writing fails', async () => {
    const { store, calls } = memoryStore();
    const broken = { ...store, put: async () => Promise.reject(new Fault('LEDGER_UNAVAILABLE', 'No room.')) };
    const { exitCode, errors, output } = await run(['import', file], broken);
    expect([exitCode, errors, output]).toEqual([1, 'No room.\n', '']);
    expect(calls).toEqual(['close']);
  });
});

describe('a command that can’t be', () => {
  it.each([
    [['import'], /Usage: tollgate prices import FILE/],
    [[], /Usage/],
    [['export', 'FILE'], /Usage/],
    [['import', 'a', 'b'], /Usage/],
    [['import', 'FILE', '--dryrun'], /--dryrun/],
    [['import', 'FILE', '--provider'], /--provider/],
    [['import', 'FILE', '--url', 'localhost:8000'], /--url takes an http or https URL/],
    [['import', 'FILE', '--url', 'http://localhost:1'], /--url needs ADMIN_TOKEN/],
  ])('%j ends with 2 and what is right', async (args, message) => {
    const { exitCode, errors } = await run(args.map((arg) => (arg === 'FILE' ? file : arg)));
    expect(exitCode).toBe(2);
    expect(errors).toMatch(message);
  });

  it('says which file can’t be read or isn’t a price map', async () => {
    const missing = await run(['import', join(folder, 'none.json')]);
    expect([missing.exitCode, missing.errors]).toEqual([
      1,
      expect.stringContaining("none.json can't be read"),
    ]);
    await writeFile(file, '{"models": ');
    const broken = await run(['import', file]);
    expect([broken.exitCode, broken.errors]).toEqual([1, expect.stringContaining('It is not JSON')]);
  });

  it('says what to do while a gateway has the data directory', async () => {
    const locked = new Fault('LEDGER_UNAVAILABLE', './data is in use by another Tollgate process.');
    const { exitCode, errors } = await run(['import', file], locked, { PORT: '8123' });
    expect(exitCode).toBe(1);
    expect(errors).toContain('is in use');
    expect(errors).toContain('ADMIN_TOKEN=… tollgate prices import FILE --url http://127.0.0.1:8123');
  });

  it('says that no gateway answers', async () => {
    const args = ['import', file, '--url', 'http://127.0.0.1:9'];
    const { exitCode, errors } = await run(args, memoryStore().store, { ADMIN_TOKEN: 'x'.repeat(20) });
    expect(exitCode).toBe(1);
    expect(errors).toMatch(/^No gateway answers on http:\/\/127\.0\.0\.1:9 \(.+\)\.\n$/);
  });
});
