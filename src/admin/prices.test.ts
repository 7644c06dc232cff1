import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import { maxPricesPerCall } from './prices.ts';

let plane: TestPlane;

beforeAll(async () => {
  plane = await openTestPlane();
});

afterAll(() => plane.close());

const rates = {
  input_per_1m: '1.25',
  output_per_1m: '10',
  cache_write_1h_per_1m: '2.000000001',
  per_web_search: '0.01',
  tiers: [{ above_input_tokens: 200_000, input_per_1m: '2.5' }],
  service_tiers: {
    flex: { input_per_1m: '0.625', tiers: [{ above_input_tokens: 200_000, input_per_1m: '1.25' }] },
  },
};
const price = { provider: 'acme', model: 'org/model:1', rates, max_output_tokens: 4_096 };
const send = (prices: readonly unknown[]) => plane.send('POST', '/prices', { source: 'litellm', prices });

describe('prices of the price book', () => {
  it('come back as they were sent, to the digit', async () => {
    expect(await plane.make('POST', '/prices', { source: 'litellm', prices: [price] })).toEqual({
      written: 1,
    });
    const stored = { ...price, max_input_tokens: null, source: 'litellm' };
    expect(await plane.make('GET', '/prices')).toEqual({ data: [stored], next_cursor: null });
    expect(await plane.make('GET', '/prices/acme/org/model:1')).toEqual(stored);
    expect(await plane.make('GET', '/prices?provider=other')).toEqual({ data: [], next_cursor: null });
  });

  it('count for the next request, and are written down whole', async () => {
    await plane.catalog.findPrice('acme', 'org/model:1');
    await send([{ ...price, rates: { ...rates, input_per_1m: '1.3' } }]);
    const found = await plane.catalog.findPrice('acme', 'org/model:1');
    expect(found?.prices.rates.input).toBe(1_300_000_000n);
    const [entry] = await plane.store.listAudit({ subject: 'litellm', limit: 1 });
    expect(entry).toMatchObject({
      actor: 'ada',
      action: 'price.import',
      detail: {
        written: 1,
        prices: [{ provider: 'acme', model: 'org/model:1', rates: { input_per_1m: '1.3' } }],
      },
    });
  });

  it('are all taken or none', async () => {
    const before = await plane.make('GET', '/prices');
    const answer = await send([
      { ...price, model: 'new' },
      { ...price, rates: { input_per_1m: '-1' } },
    ]);
    expect(answer.status).toBe(400);
    expect(await plane.make('GET', '/prices')).toEqual(before);
  });

  it.each([
    [[], 'prices'],
    [[{ ...price, rates: { input_per_1m: '1' } }], 'prices[0].rates.output_per_1m'],
    [[{ ...price, rates: { ...rates, input_per_1m: 1 } }], 'prices[0].rates.input_per_1m'],
    [[{ ...price, provider: '' }], 'prices[0].provider'],
    [[{ ...price, model: 'a\0b' }], 'prices[0].model'],
    [[{ ...price, currency: 'EUR' }], 'prices[0].currency'],
    [Array.from({ length: maxPricesPerCall + 1 }, () => price), 'prices'],
  ])('are refused by the member at fault', async (prices, param) => {
    const answer = await send(prices);
    expect([answer.status, answer.body.error.param]).toEqual([400, param]);
  });

  it('are not there for a model that nobody priced', async () => {
    const answer = await plane.send('GET', '/prices/acme/unknown');
    expect([answer.status, answer.body.error.code]).toEqual([404, 'NOT_FOUND']);
  });
});
