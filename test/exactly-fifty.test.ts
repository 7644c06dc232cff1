import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAmount } from '../src/domain/money.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import {
  type Answer,
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
} from './support/gateway.ts';

// Parallel requests are where gateways overspend: all of them see the same balance.

let gateway: TestGateway;
let simulator: Simulator;

beforeAll(async () => {
  simulator = await startSimulator();
  gateway = await startGateway();
});

afterAll(async () => {
  await gateway.stop();
  await simulator.close();
});

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];

async function askTogether(model: string, apiKey: string, count: number, more: object): Promise<Answer[]> {
  const body = { model, messages, ...more };
  const ask = () => gateway.call('/v1/chat/completions', body, { authorization: `Bearer ${apiKey}` });
  return await Promise.all(Array.from({ length: count }, ask));
}

describe('200 concurrent clients on a balance for exactly 50 requests', () => {
  it.each([
    ['at a price per request', { per_request: '0.02' }, false],
    ['at a price per request, as streams', { per_request: '0.02' }, true],
  ])('%s: 50 are served, 150 get 402, and the balance ends at zero', async (name, rates, stream) => {
    const model = `per-request-${name.length}`;
    await addModel(
      gateway,
      model,
      { baseUrl: simulator.url, upstreamModel: 'sim?ttfb_ms=100&tokens_per_second=0&tokens=20' },
      { rates },
    );
    const tenant = await addTenant(gateway, { balance: '1.00' });
    const answers = await askTogether(model, tenant.apiKey, 200, { stream });
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(50);
    expect(statuses.filter((status) => status === 402)).toHaveLength(150);
    const charges = (await settledTransactionsOf(gateway, tenant.id)).slice(1);
    expect(charges).toHaveLength(50);
    expect((await gateway.admin('GET', `/tenants/${tenant.id}`)).quota).toMatchObject({
      balance: '0',
      held: '0',
      daily_used: 50,
    });
    expect(charges.every(({ balance_after }) => parseAmount(balance_after) >= 0n)).toBe(true);
  });

  it('at a price per token: what 50 may cost at the most is held, and the balance ends at what they cost', async () => {
    const model = 'per-token';
    await addModel(gateway, model, {
      baseUrl: simulator.url,
      upstreamModel: 'sim?ttfb_ms=1500&tokens_per_second=0&tokens=20',
    });
    // The hold of one request, as the ledger tells it.
    const probe = await addTenant(gateway, { balance: '1' });
    await askTogether(model, probe.apiKey, 1, { max_tokens: 100 });
    const [, probed] = await settledTransactionsOf(gateway, probe.id);
    const hold = parseAmount(probed.hold_amount);

    const balance = 50n * hold + hold / 2n;
    const nanoText = balance.toString().padStart(10, '0');
    const tenant = await addTenant(gateway, { balance: `${nanoText.slice(0, -9)}.${nanoText.slice(-9)}` });
    const answers = await askTogether(model, tenant.apiKey, 200, { max_tokens: 100 });
    const served = answers.filter(({ status }) => status === 200);
    expect(served).toHaveLength(50);
    expect(answers.filter(({ status }) => status === 402)).toHaveLength(150);
    const charges = (await settledTransactionsOf(gateway, tenant.id)).slice(1);
    const cost = charges.reduce((sum, { amount }) => sum + parseAmount(amount), 0n);
    const told = served.reduce((sum, { headers }) => sum + parseAmount(headers.get('x-billing-amount')!), 0n);
    const { quota } = await gateway.admin('GET', `/tenants/${tenant.id}`);
    expect(told).toBe(cost);
    expect(parseAmount(quota.balance)).toBe(balance - cost);
    expect(parseAmount(quota.balance) >= 0n).toBe(true);
    expect(quota.held).toBe('0');
  });
});
