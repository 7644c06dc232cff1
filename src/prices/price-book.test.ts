import { describe, expect, it } from 'vitest';
import type { AuditEntry, BookPrice, CatalogStore, PublishedPrice } from '../catalog/catalog.ts';
import type { Rate } from '../domain/money.ts';
import { withBuiltInPrices, withOneNamePerProvider, withUnitsOf } from './price-book.ts';

const clock = { now: () => Date.parse('2026-11-23T12:00:00Z'), monotonic: () => 0 };
const rate = (value: bigint) => value as Rate;

const imported: BookPrice = {
  prices: { rates: { input: rate(7n), output: rate(8n) } },
  maxInputTokens: 10,
  maxOutputTokens: null,
  source: 'litellm',
};

/** Only what these tests touch. */
function storeOf(found: BookPrice | undefined) {
  const asked: string[] = [];
  const put: PublishedPrice[] = [];
  const store = {
    findPrice: async (provider: string, model: string) => {
      asked.push(`${provider} ${model}`);
      return found;
    },
    putPrices: async (prices: readonly PublishedPrice[]) => {
      put.push(...prices);
    },
  } as unknown as CatalogStore;
  return { store, asked, put };
}

describe('the price book', () => {
  it('has the imported price before the built-in one', async () => {
    const book = withBuiltInPrices(storeOf(imported).store, clock);
    expect(await book.findPrice('groq', 'llama-3.3-70b-versatile')).toEqual(imported);
  });

  it('has the built-in price where none was imported, and none where nobody knows one', async () => {
    const book = withBuiltInPrices(storeOf(undefined).store, clock);
    expect((await book.findPrice('openai', 'gpt-5'))?.source).toBe('genai-prices');
    expect(await book.findPrice('openai', 'no-such-model')).toBeUndefined();
  });

  it('never gives a unit away that only the built-in price knows', async () => {
    const book = withBuiltInPrices(storeOf(imported).store, clock);
    const { prices } = (await book.findPrice('openai', 'gpt-5'))!;
    expect(prices.rates).toEqual({
      input: 7n,
      output: 8n,
      web_search: 10_000_000_000_000n,
      file_search: 2_500_000_000_000n,
    });
  });

  it('takes an imported zero of a unit for a zero, and no token price from another source', () => {
    const free = { ...imported, prices: { rates: { ...imported.prices.rates, web_search: rate(0n) } } };
    const builtIn = { ...imported, prices: { rates: { cache_read: rate(1n), web_search: rate(5n) } } };
    expect(withUnitsOf(builtIn, free)).toEqual(free);
  });

  it('knows a provider by each of its names', async () => {
    const { store, asked, put } = storeOf(undefined);
    const named = withOneNamePerProvider(store);
    await named.findPrice('Google', 'gemini-2.5-pro');
    await named.findPrice('together_ai', 'x');
    await named.findPrice('my-own', 'x');
    expect(asked).toEqual(['gemini gemini-2.5-pro', 'together x', 'my-own x']);
    const first = { ...imported, provider: 'google', model: 'x' };
    const second = { ...imported, provider: 'gemini', model: 'x', maxInputTokens: 20 };
    await named.putPrices([first, second], {} as AuditEntry);
    expect(put).toEqual([second]);
  });
});
