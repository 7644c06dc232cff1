import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAmount } from '../src/domain/money.ts';
import { openPglite } from '../src/ledger/drivers/pglite.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import type { AnyJson } from './support/admin-plane.ts';
import { addModel, addTenant, startGateway, type TestGateway, transactionsOf } from './support/gateway.ts';
import { newDataDir, type TestDataDir } from './support/template.ts';

// `kill -9` while streams run: what a client saw complete is in the ledger, what was open is visible as
// PENDING, and the ledger is whole.

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
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
}

async function stream(model: string, apiKey: string, onFirstByte: () => void): Promise<Seen> {
  let transactionId: string | null = null;
  let text = '';
  try {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}` },
      body: JSON.stringify({ model, messages, stream: true, max_tokens: 4000 }),
    });
    transactionId = response.headers.get('x-billing-transaction-id');
    const decoder = new TextDecoder();
    for await (const bytes of response.body!) {
      if (text === '') onFirstByte();
      text += decoder.decode(bytes, { stream: true });
    }
  } catch {
    // The connection broke with the gateway.
  }
  return { transactionId, complete: text.includes('[DONE]') };
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

it('loses nothing that was committed, and leaves what was open as PENDING', async () => {
  await addModel(gateway, 'quick', {
    baseUrl: simulator.url,
    upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=400&tokens=100',
  });
  await addModel(gateway, 'slow', {
    baseUrl: simulator.url,
    upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=20&tokens=4000',
  });
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
      `${charges.filter(({ status }) => status === 'PENDING').length} left PENDING`,
  );
  expect(complete.length).toBeGreaterThan(0);
  for (const { transactionId } of complete) {
    expect(byId.get(transactionId)).toMatchObject({ status: 'COMMITTED' });
  }
  // No byte reached a client before its row was durable.
  for (const { transactionId } of seen) expect(byId.get(transactionId)).toBeDefined();

  const pending = charges.filter(({ status }) => status === 'PENDING');
  expect(pending.length).toBeGreaterThanOrEqual(30);
  const { quota } = await gateway.admin('GET', `/tenants/${tenant.id}`);
  const held = pending.reduce((sum, { hold_amount }) => sum + parseAmount(hold_amount), 0n);
  expect(parseAmount(quota.held)).toBe(held);
  expectWhole(charges, quota.balance);

  // The ledger goes on: a new request is served, and the money of the open ones stays held.
  const next = await stream('quick', tenant.apiKey, () => undefined);
  expect(next.complete).toBe(true);
  const after = await transactionsOf(gateway, tenant.id);
  expect(after).toHaveLength(charges.length + 1);
  expectWhole(after, (await gateway.admin('GET', `/tenants/${tenant.id}`)).quota.balance);
});

it('keeps history immutable after a kill too', async () => {
  await gateway.kill();
  const driver = await openPglite(dataDir.path);
  await expect(
    driver.query(`UPDATE billing_transaction SET amount = 0 WHERE status = 'COMMITTED'`, []),
  ).rejects.toThrow(/closed and never changes/);
  await driver.close();
});
