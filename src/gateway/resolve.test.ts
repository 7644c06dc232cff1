import { expect, it } from 'vitest';
import type { ApiKey, BookPrice, Catalog, ServedModel } from '../catalog/catalog.ts';
import type { Rate } from '../domain/money.ts';
import type { Rates } from '../domain/pricing.ts';
import { resolve } from './resolve.ts';

const published: Rates = { input: 7n as Rate, cache_read: 1n as Rate, web_search: 5n as Rate };
const card: Rates = { input: 2n as Rate, output: 3n as Rate };

/** The prices of a model with these rates of its own, two routes, and a published price for the first only. */
async function pricesWith(rates: Rates | null) {
  const target = (upstreamModel: string, priority: number) => ({
    route: { upstreamModel, priority, weight: 1 },
    upstream: { provider: 'sim', dialects: ['openai-chat'] },
  });
  const model = {
    name: 'small',
    maxInputTokens: null,
    maxOutputTokens: null,
    rateCards: rates === null ? [] : [{ effectiveFromMs: 0, rates }],
    targets: [target('second', 2), target('first', 1), target('also first', 1)],
  } as unknown as ServedModel;
  const price: BookPrice = {
    prices: { rates: published },
    maxInputTokens: 10,
    maxOutputTokens: 20,
    source: 'test',
  };
  const catalog = {
    findModel: async () => model,
    findPrice: async (_: string, upstreamModel: string) => (upstreamModel === 'first' ? price : undefined),
  } as unknown as Catalog;
  const clock = { now: () => 1, monotonic: () => 0 };
  const apiKey = { models: null } as ApiKey;
  const resolved = await resolve(apiKey, { model: 'small' }, 'openai-chat', {
    catalog,
    clock,
    random: () => 0.5,
  });
  if (resolved.kind === 'refused') throw new Error(resolved.message);
  return resolved;
}

it("a model's own rates leave no tool free that has a published price, and take no token price from it", async () => {
  const { prices, longestPrompt } = await pricesWith(card);
  expect(prices.rates).toEqual({ ...card, web_search: 5n });
  expect(longestPrompt).toBe(10);
});

it("a model's own price of a tool holds, even zero", async () => {
  const free = { ...card, web_search: 0n as Rate };
  expect((await pricesWith(free)).prices.rates).toEqual(free);
});

it('a model without rates of its own has the published price of its first route', async () => {
  expect((await pricesWith(null)).prices.rates).toEqual(published);
});
