import { findProvider } from '@pydantic/genai-prices';
import { describe, expect, it, vi } from 'vitest';
import { charge } from '../domain/charge.ts';
import { unitMultiplierPpm } from '../domain/pricing.ts';
import { builtInModels, builtInPrice } from './genai-prices.ts';

const at = (moment: string) => Date.parse(moment);
const now = at('2026-11-23T12:00:00Z');
const usd = (perMillion: number) => BigInt(Math.round(perMillion * 1e9));

describe('the built-in price', () => {
  it('is exact in every class that the package prices', () => {
    expect(builtInPrice('anthropic', 'claude-haiku-4-5', now)).toEqual({
      prices: {
        rates: {
          input: usd(1),
          output: usd(5),
          cache_read: usd(0.1),
          cache_write_5m: usd(1.25),
          cache_write_1h: usd(2),
          web_search: 10_000_000_000_000n,
        },
      },
      maxInputTokens: null,
      maxOutputTokens: null,
      source: 'genai-prices',
    });
    expect(builtInPrice('gemini', 'gemini-2.5-flash', now)?.prices.rates).toEqual({
      input: usd(0.3),
      output: usd(2.5),
      cache_read: usd(0.03),
      input_audio: usd(1),
      // What its own search put into the prompt is free.
      input_search: 0n,
      cache_read_audio: usd(0.1),
    });
  });

  it('charges the whole request by the tier, from the first token beyond its start', () => {
    const prices = builtInPrice('gemini', 'gemini-2.5-pro', now)!.prices;
    const amountOf = (input: number) =>
      charge({ usage: { input, output: 1_000 } }, prices, unitMultiplierPpm).amount;
    expect(amountOf(200_000)).toBe(200_000n * 1_250n + 1_000n * 10_000n);
    expect(amountOf(200_001)).toBe(200_001n * 2_500n + 1_000n * 15_000n);
  });

  it('is the one of the moment, by day and by hour', () => {
    const inputAt = (provider: string, model: string, moment: string) =>
      builtInPrice(provider, model, at(moment))?.prices.rates.input;
    expect(inputAt('openai', 'o3', '2025-06-09T23:59:59Z')).toBe(usd(10));
    expect(inputAt('openai', 'o3', '2025-06-10T00:00:00Z')).toBe(usd(2));
    const offPeak = inputAt('deepseek', 'deepseek-reasoner', '2026-11-23T00:29:59Z')!;
    const standard = inputAt('deepseek', 'deepseek-reasoner', '2026-11-23T00:30:00Z')!;
    expect(standard).toBeGreaterThan(offPeak);
    expect(inputAt('deepseek', 'deepseek-reasoner', '2026-11-23T16:30:00Z')).toBe(offPeak);
  });

  it('has tiers only while the model has them', () => {
    const tiersAt = (moment: string) =>
      builtInPrice('anthropic', 'claude-opus-4-6', at(moment))?.prices.tiers?.map(
        ({ aboveInputTokens }) => aboveInputTokens,
      );
    expect(tiersAt('2026-03-12T23:59:59Z')).toEqual([200_000]);
    expect(tiersAt('2026-03-13T00:00:00Z')).toBeUndefined();
  });

  it('prices writes to the one-hour cache at twice the input where the package leaves them out', () => {
    const vertex = builtInPrice('vertex', 'claude-sonnet-4-5@20250929', now)!.prices;
    expect(vertex.rates.cache_write_1h).toBe(usd(6));
    expect(vertex.tiers).toEqual([
      {
        aboveInputTokens: 200_000,
        rates: {
          input: usd(6),
          output: usd(22.5),
          cache_read: usd(0.6),
          cache_write_5m: usd(7.5),
          cache_write_1h: usd(12),
        },
      },
    ]);
    // Not Anthropic's, so not derived.
    const openai = builtInPrice('openai', 'gpt-5.6-sol', now)!.prices.rates;
    expect(openai.cache_write_5m).toBe(usd(5));
    expect(openai).not.toHaveProperty('cache_write_1h');
  });

  it('counts fees per request and per search by the single one', () => {
    expect(builtInPrice('perplexity', 'sonar', now)?.prices.rates.requests).toBe(12_000_000_000_000n);
    expect(builtInPrice('openai', 'gpt-5', now)?.prices.rates).toMatchObject({
      web_search: 10_000_000_000_000n,
      file_search: 2_500_000_000_000n,
    });
  });

  it.each([
    ['xai', 'grok-4'],
    ['groq', 'llama-3.3-70b-versatile'],
    ['mistral', 'mistral-large-latest'],
    ['deepseek', 'deepseek-chat'],
    ['openrouter', 'anthropic/claude-sonnet-4.5'],
    ['together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo'],
    ['perplexity', 'sonar-pro'],
    ['bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'],
    ['cohere', 'command-r-plus'],
    ['azure', 'gpt-4o'],
    ['Google', 'gemini-2.5-pro'],
    ['vertex_ai', 'gemini-2.5-pro'],
    ['openai', 'text-embedding-3-small'],
  ])('is found for %s, %s', (provider, model) => {
    expect(builtInPrice(provider, model, now)?.prices.rates.input).toBeGreaterThan(0n);
  });

  it.each([
    ['my-openai-proxy', 'gpt-4o', 'a name that contains a provider’s'],
    ['ollama', 'gpt-4o', 'a provider that the package lacks'],
    ['groq', 'gpt-4o', 'a model of somebody else'],
    ['openai', 'whisper-1', 'a model paid by the second'],
    ['openai', 'omni-moderation-latest', 'a model without prices'],
    ['litellm', 'openai/gpt-4o', 'a proxy'],
    ['', '', 'no name'],
  ])('is not guessed for %s, %s: %s', (provider, model) => {
    expect(builtInPrice(provider, model, now)).toBeUndefined();
  });

  it('reads every model of the providers that Tollgate names, and warns of none', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    let models = 0;
    const ours =
      'openai anthropic google aws azure x-ai groq mistral deepseek openrouter together perplexity';
    const others =
      'cohere cerebras cloudflare fireworks moonshotai minimax novita voyageai zai github-copilot';
    for (const providerId of `${ours} ${others}`.split(' ')) {
      for (const { id } of findProvider({ providerId })!.models) {
        builtInPrice(providerId, id, now);
        models++;
      }
    }
    expect(models).toBeGreaterThan(1_000);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});

describe('the models of a provider', () => {
  it('are those that are priced and not deprecated', () => {
    const names = builtInModels('gemini', now).map(({ name }) => name);
    expect(names).toContain('gemini-2.5-pro');
    expect(names).not.toContain('gemini-2.5-flash-preview');
    expect(names).not.toContain('gemma-3');
    expect(builtInModels('nobody', now)).toEqual([]);
  });

  it('tell which are paid by what can’t be charged as well', () => {
    const wholly = new Map(builtInModels('openai', now).map((model) => [model.name, model.wholly]));
    expect(wholly.get('gpt-5')).toBe(true);
    expect(wholly.get('gpt-image-1')).toBe(false);
  });
});
