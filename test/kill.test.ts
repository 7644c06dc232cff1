import { setTimeout as sleep } from 'node:timers/promises';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAmount } from '../src/domain/money.ts';
import { openPglite } from '../src/ledger/drivers/pglite.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import type { AnyJson } from './support/admin-plane.ts';
import { addModel, addTenant, startGateway, type TestGateway, transactionsOf } from './support/gateway.ts';
import { newDataDir, type TestDataDir } from './support/template.ts';

// `kill -9` while streams run: what a client saw complete is in the ledger, what was open is settled by the next start
// to its last checkpoint, and the ledger is whole.

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
/** With what it takes to write one. */
const checkpointIntervalMs = 5_500;
let dataDir: TestDataDir;
let simulator: Simulator;
let gateway: TestGateway;

beforeAll(async () => {
  dataDir = await newDataDir();
  simulator = await startSimulator();
  gateway = await startGateway({ dataDir: dataDir.path });
});

afterAll(async () => {
  await gateway.stop();
  await simulator.close();
  await dataDir.remove();
});

interface Seen {
  readonly transactionId: string | null;
  /** Whether the client took the answer as complete. */
  readonly complete: boolean;
  /** What had come by when, in milliseconds. */
  readonly pieces: readonly { readonly atMs: number; readonly text: string }[];
}

async function stream(model: string, apiKey: string, onFirstByte: () => void): Promise<Seen> {
  let transactionId: string | null = null;
  const pieces: { atMs: number; text: string }[] = [];
  try {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}` },
      body: JSON.stringify({ model, messages, stream: true, max_tokens: 4000 }),
    });
    transactionId = response.headers.get('x-billing-transaction-id');
    const decoder = new TextDecoder();
    for await (const bytes of response.body!) {
      if (pieces.length === 0) onFirstByte();
      pieces.push({ atMs: performance.now(), text: decoder.decode(bytes, { stream: true }) });
    }
  } catch {
    // The connection broke with the gateway.
  }
  return { transactionId, complete: pieces.some(({ text }) => text.includes('[DONE]')), pieces };
}

/** Tokens of what a stream had delivered until then. */
function deliveredTokens({ pieces }: Seen, untilMs: number): number {
  const text = pieces
    .filter(({ atMs }) => atMs <= untilMs)
    .map(({ text }) => text)
    .join('');
  const events = text.split('\n').filter((line) => line.startsWith('data: {'));
  const content = events.map((line): string => {
    try {
      return JSON.parse(line.slice('data: '.length)).choices[0]?.delta.content ?? '';
    } catch {
      // Of one that was cut, nothing was seen.
      return '';
    }
  });
  return countTokens(content.join(''));
}

function expectWhole(charges: readonly AnyJson[], balance: string): void {
  const committed = charges
    .filter(({ status }) => status === 'COMMITTED')
    .sort((a, b) => Number(a.seq) - Number(b.seq));
  let sum = 0n;
  for (const [index, { seq, type, amount, balance_before, balance_after }] of committed.entries()) {
    expect(Number(seq)).toBe(index + 1);
    expect(parseAmount(balance_before)).toBe(sum);
    sum += type === 'CHARGE' ? -parseAmount(amount) : parseAmount(amount);
    expect(parseAmount(balance_after)).toBe(sum);
  }
  expect(parseAmount(balance)).toBe(sum);
  expect(new Set(charges.map(({ trace_id }) => trace_id)).size).toBe(charges.length);
}

async function addModels(): Promise<void> {
  await addModel(gateway, 'quick', {
    baseUrl: simulator.url,
    upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=400&tokens=100',
  });
  await addModel(gateway, 'slow', {
    baseUrl: simulator.url,
    upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=20&tokens=4000',
  });
}

it('loses nothing that was committed, and has settled what was open when it is ready again', async () => {
  await addModels();
  const tenant = await addTenant(gateway, { balance: '1000' });

  const running = Promise.withResolvers<void>();
  let begun = 0;
  const onFirstByte = () => {
    begun++;
    if (begun === 50) running.resolve();
  };
  const asked = [
    ...Array.from({ length: 20 }, () => stream('quick', tenant.apiKey, onFirstByte)),
    ...Array.from({ length: 30 }, () => stream('slow', tenant.apiKey, onFirstByte)),
  ];
  await running.promise;
  // Some of the quick ones are at their end in this moment, which is the one that matters.
  await Promise.race(asked);
  await gateway.kill();
  const seen = await Promise.all(asked);

  gateway = await startGateway({ dataDir: dataDir.path });
  const charges = await transactionsOf(gateway, tenant.id);
  const byId = new Map(charges.map((charge) => [charge.id, charge]));
  const complete = seen.filter((one) => one.complete);
  console.info(
    `killed at 50 streams: ${complete.length} complete, ` +
      `${charges.filter(({ status }) => status === 'VOIDED').length} voided`,
  );
  expect(complete.length).toBeGreaterThan(0);
  for (const { transactionId } of complete) {
    expect(byId.get(transactionId)).toMatchObject({ status: 'COMMITTED' });
  }
  // No byte reached a client before its row was durable, and none is open any more.
  for (const { transactionId } of seen) expect(byId.get(transactionId)).toBeDefined();
  expect(charges.filter(({ status }) => status === 'PENDING')).toEqual([]);
  const { quota } = await gateway.admin('GET', `/tenants/${tenant.id}`);
  expect(quota.held).toBe('0');
  expectWhole(charges, quota.balance);

  const next = await stream('quick', tenant.apiKey, () => undefined);
  expect(next.complete).toBe(true);
  const after = await transactionsOf(gateway, tenant.id);
  expect(after).toHaveLength(charges.length + 1);
  expectWhole(after, (await gateway.admin('GET', `/tenants/${tenant.id}`)).quota.balance);
});

it('charges what had been delivered some seconds before it was killed, and no more than what was delivered', async () => {
  const tenant = await addTenant(gateway, { balance: '1000' });
  const started = Array.from({ length: 8 }, () => stream('slow', tenant.apiKey, () => undefined));
  await sleep(8_000);
  const killedAtMs = performance.now();
  await gateway.kill();
  const seen = await Promise.all(started);
  gateway = await startGateway({ dataDir: dataDir.path });
  const charges = new Map((await transactionsOf(gateway, tenant.id)).map((charge) => [charge.id, charge]));
  for (const one of seen) {
    const charge = charges.get(one.transactionId);
    expect(charge).toMatchObject({ status: 'COMMITTED', usage_method: 'tiktoken' });
    expect(charge.usage.input).toBeGreaterThan(0);
    const least = deliveredTokens(one, killedAtMs - checkpointIntervalMs);
    expect(charge.usage.output).toBeGreaterThanOrEqual(Math.floor(least * 0.9));
    expect(charge.usage.output).toBeLessThanOrEqual(deliveredTokens(one, killedAtMs));
  }
});

it('keeps history immutable after a kill too', async () => {
  await gateway.kill();
  const driver = await openPglite(dataDir.path);
  await expect(
    driver.query(`UPDATE billing_transaction SET amount = 0 WHERE status = 'COMMITTED'`, []),
  ).rejects.toThrow(/closed and never changes/);
  await driver.close();
});
