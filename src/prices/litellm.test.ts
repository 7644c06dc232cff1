import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { charge } from '../domain/charge.ts';
import { decodePriceList, encodePriceList } from '../domain/price-list-json.ts';
import { type PriceList, unitMultiplierPpm } from '../domain/pricing.ts';
import { NoPriceMapError, readLiteLlmMap } from './litellm.ts';
import { readEntry } from './litellm-entry.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Numbers are written into the file as these strings have them. */
const decimal = (text: string) => ({ decimal: text });

function fileOf(map: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(map).replace(/\{"decimal":"([^"]+)"\}/g, '$1');
}

const chat = { litellm_provider: 'openai', mode: 'chat' };
const basics = { ...chat, input_cost_per_token: decimal('1e-6'), output_cost_per_token: decimal('2e-06') };

function pricesOf(fields: Fields, key = 'model') {
  const { prices, skipped } = readLiteLlmMap(fileOf({ [key]: { ...basics, ...fields } }));
  if (prices[0] === undefined) throw new Error(skipped[0]?.reason);
  return prices[0].prices;
}

function reasonOf(fields: Fields, key = 'model'): string | undefined {
  const map = readLiteLlmMap(fileOf({ [key]: fields }));
  expect(map.prices).toEqual([]);
  return map.skipped[0]?.reason;
}

describe('a price map of LiteLLM', () => {
  it('keeps every digit, and says where it took digits for noise', () => {
    const map = readLiteLlmMap(
      fileOf({
        exact: { ...basics, input_cost_per_token: decimal('0.00000012345678901') },
        noise: { ...basics, input_cost_per_token: decimal('1.2500000000000001e-06') },
        text: { ...basics, input_cost_per_token: '3e-7' },
      }),
    );
    expect(map.prices.map(({ model, prices }) => [model, prices.rates.input])).toEqual([
      ['exact', 123_456_789n],
      ['noise', 1_250_000_000n],
      ['text', 300_000_000n],
    ]);
    expect(map.rounded).toEqual(['exact', 'noise']);
  });

  it.each([
    ['cache_read_input_token_cost', 'cache_read'],
    ['input_cost_per_token_cache_hit', 'cache_read'],
    ['cache_creation_input_token_cost', 'cache_write_5m'],
    ['cache_creation_input_token_cost_above_1hr', 'cache_write_1h'],
    ['input_cost_per_audio_token', 'input_audio'],
    ['cache_read_input_audio_token_cost', 'cache_read_audio'],
    ['output_cost_per_audio_token', 'output_audio'],
    ['output_cost_per_reasoning_token', 'reasoning'],
    ['output_cost_per_image_token', 'output_image'],
    ['output_cost_per_image', 'image'],
    ['input_cost_per_request', 'requests'],
    ['code_interpreter_cost_per_session', 'code_interpreter'],
  ])('prices %s as %s', (field, usageClass) => {
    expect(pricesOf({ [field]: decimal('5e-7') }).rates).toEqual({
      input: 1_000_000_000n,
      output: 2_000_000_000n,
      [usageClass]: 500_000_000n,
    });
  });

  it('prices file searches by the thousand', () => {
    expect(pricesOf({ file_search_cost_per_1k_calls: decimal('2.5') }).rates.file_search).toBe(
      2_500_000_000_000n,
    );
  });

  it('takes the newer name of a price before the older one, in either order', () => {
    const older = { input_cost_per_token_cache_hit: decimal('1e-7') };
    const newer = { cache_read_input_token_cost: decimal('2e-7') };
    expect(pricesOf({ ...older, ...newer }).rates.cache_read).toBe(200_000_000n);
    expect(pricesOf({ ...newer, ...older }).rates.cache_read).toBe(200_000_000n);
  });

  it('combines suffixes in any order', () => {
    const prices = pricesOf({
      cache_creation_input_token_cost: decimal('3e-6'),
      cache_creation_input_token_cost_above_1hr: decimal('4e-6'),
      input_cost_per_token_above_200k_tokens: decimal('5e-6'),
      input_cost_per_token_above_512k_tokens: decimal('6e-6'),
      cache_creation_input_token_cost_above_1hr_above_200k_tokens: decimal('7e-6'),
      input_cost_per_token_batches: decimal('8e-7'),
      input_cost_per_token_flex: decimal('9e-7'),
      input_cost_per_token_priority: decimal('11e-6'),
      input_cost_per_token_above_200k_tokens_priority: decimal('12e-6'),
      output_cost_per_token_priority_above_200k_tokens: decimal('13e-6'),
    });
    expect(prices).toEqual({
      rates: {
        input: 1_000_000_000n,
        output: 2_000_000_000n,
        cache_write_5m: 3_000_000_000n,
        cache_write_1h: 4_000_000_000n,
      },
      tiers: [
        { aboveInputTokens: 200_000, rates: { input: 5_000_000_000n, cache_write_1h: 7_000_000_000n } },
        { aboveInputTokens: 512_000, rates: { input: 6_000_000_000n } },
      ],
      serviceTiers: {
        batch: {
          rates: { input: 800_000_000n },
          tiers: [
            { aboveInputTokens: 200_000, rates: { input: 5_000_000_000n } },
            { aboveInputTokens: 512_000, rates: { input: 6_000_000_000n } },
          ],
        },
        flex: {
          rates: { input: 900_000_000n },
          tiers: [
            { aboveInputTokens: 200_000, rates: { input: 5_000_000_000n } },
            { aboveInputTokens: 512_000, rates: { input: 6_000_000_000n } },
          ],
        },
        priority: {
          rates: { input: 11_000_000_000n },
          tiers: [
            { aboveInputTokens: 200_000, rates: { input: 12_000_000_000n, output: 13_000_000_000n } },
            { aboveInputTokens: 512_000, rates: { input: 6_000_000_000n } },
          ],
        },
      },
    });
    expect(decodePriceList(JSON.parse(JSON.stringify(encodePriceList(prices))))).toEqual(prices);
  });

  it('charges a long prompt in a cheap service tier at no less than the long prompt’s price', () => {
    const prices = pricesOf({
      input_cost_per_token_flex: decimal('5e-7'),
      input_cost_per_token_above_272k_tokens: decimal('2e-6'),
    });
    const amountOf = (input: number) =>
      charge({ usage: { input }, serviceTier: 'flex' }, prices, unitMultiplierPpm).amount;
    expect(amountOf(272_000)).toBe(272_000n * 500n);
    expect(amountOf(272_001)).toBe(272_001n * 2_000n);
  });

  it('begins xAI’s long prompts at the bound itself, everyone else’s beyond it', () => {
    const long = { input_cost_per_token_above_128k_tokens: decimal('3e-6') };
    expect(pricesOf(long).tiers?.[0]?.aboveInputTokens).toBe(128_000);
    expect(pricesOf({ ...long, litellm_provider: 'xai' }, 'xai/grok').tiers?.[0]?.aboveInputTokens).toBe(
      127_999,
    );
  });

  it('prices the whole of a request by the range of its prompt', () => {
    const { rates, tiers } = pricesOf({
      tiered_pricing: [
        {
          range: [32_000, 128_000],
          input_cost_per_token: decimal('5e-6'),
          output_cost_per_token: decimal('9e-6'),
        },
        {
          range: [0, 32_000],
          input_cost_per_token: decimal('3e-6'),
          output_cost_per_token: decimal('6e-6'),
          cache_read_input_token_cost: decimal('1e-6'),
          output_cost_per_reasoning_token: decimal('7e-6'),
        },
      ],
    });
    expect(rates).toEqual({
      input: 3_000_000_000n,
      output: 6_000_000_000n,
      cache_read: 1_000_000_000n,
      reasoning: 7_000_000_000n,
    });
    // What the longer range leaves out costs as its plain sibling there, not as in the shorter range.
    expect(tiers).toEqual([
      {
        aboveInputTokens: 32_000,
        rates: {
          input: 5_000_000_000n,
          output: 9_000_000_000n,
          cache_read: 5_000_000_000n,
          reasoning: 9_000_000_000n,
        },
      },
    ]);
  });

  it('lets reasoning that costs as output follow it into long prompts', () => {
    const prices = pricesOf({
      output_cost_per_reasoning_token: decimal('0.000002'),
      output_cost_per_token_above_200k_tokens: decimal('3e-6'),
    });
    const { amount } = charge({ usage: { input: 200_001, reasoning: 10 } }, prices, unitMultiplierPpm);
    expect(amount).toBe(200_001n * 1_000n + 10n * 3_000n);
  });

  it('makes service tiers of the factors for fast mode and for inference bound to a place', () => {
    const { serviceTiers = {} } = pricesOf({
      input_cost_per_token_above_200k_tokens: decimal('2e-6'),
      provider_specific_entry: { us: decimal('1.1'), fast: decimal('6.0') },
    });
    const rates = (input: bigint, output: bigint, long: bigint) => ({
      rates: { input, output },
      tiers: [{ aboveInputTokens: 200_000, rates: { input: long } }],
    });
    expect(serviceTiers).toEqual({
      fast: rates(6_000_000_000n, 12_000_000_000n, 12_000_000_000n),
      us: rates(1_100_000_000n, 2_200_000_000n, 2_200_000_000n),
      fast_us: rates(6_600_000_000n, 13_200_000_000n, 13_200_000_000n),
    });
  });

  it('counts searches as their provider does', () => {
    const search_context_cost_per_query = {
      search_context_size_low: decimal('0.005'),
      search_context_size_medium: decimal('0.008'),
      search_context_size_high: decimal('0.012'),
    };
    const unitsOf = (provider: string, key: string, more: Fields = {}) => {
      const {
        input,
        output,
        input_search: searched,
        ...units
      } = pricesOf({ litellm_provider: provider, search_context_cost_per_query, ...more }, key).rates;
      expect(searched, key).toBe(key.includes('gemini') ? 0n : undefined);
      return units;
    };
    expect(unitsOf('openai', 'gpt')).toEqual({ web_search: 8_000_000_000_000n });
    expect(unitsOf('gemini', 'gemini/gemini-2.5-pro')).toEqual({ grounded_prompt: 8_000_000_000_000n });
    expect(unitsOf('gemini', 'gemini/gemini-3', { web_search_billing_unit: 'per_query' })).toEqual({
      web_search: 8_000_000_000_000n,
    });
    expect(unitsOf('vertex_ai-anthropic_models', 'vertex_ai/claude-opus-5')).toEqual({
      web_search: 8_000_000_000_000n,
    });
    expect(unitsOf('perplexity', 'perplexity/sonar')).toEqual({ requests: 12_000_000_000_000n });
    expect(unitsOf('perplexity', 'perplexity/sonar-deep-research')).toEqual({
      web_search: 8_000_000_000_000n,
    });
  });

  it('prices one-hour cache writes of Claude at twice the input where the map leaves them out', () => {
    const writes = { cache_creation_input_token_cost: decimal('1.25e-6') };
    const map = readLiteLlmMap(
      fileOf({
        'claude-x': { ...basics, ...writes, litellm_provider: 'anthropic' },
        'gpt-x': { ...basics, ...writes },
      }),
    );
    expect(map.prices.map(({ prices }) => prices.rates.cache_write_1h)).toEqual([2_000_000_000n, undefined]);
    expect(map.derived).toEqual(['claude-x']);
  });

  it('prices all output of a model that makes images as images, and an image once', () => {
    const tokens = {
      litellm_provider: 'openai',
      mode: 'image_generation',
      input_cost_per_token: decimal('5e-6'),
      output_cost_per_image_token: decimal('4e-5'),
      output_cost_per_image: decimal('0.04'),
    };
    const map = readLiteLlmMap(
      fileOf({
        'gpt-image': tokens,
        'dall-e': {
          litellm_provider: 'openai',
          mode: 'image_generation',
          input_cost_per_image: decimal('0.02'),
        },
      }),
    );
    expect(map.prices.map(({ prices }) => prices.rates)).toEqual([
      { image: 20_000_000_000_000n },
      { input: 5_000_000_000n, output: 40_000_000_000n, output_image: 40_000_000_000n },
    ]);
  });

  it('takes the missing output of a model that embeds for none', () => {
    const { output_cost_per_token: _, ...inputOnly } = basics;
    const map = readLiteLlmMap(fileOf({ e: { ...inputOnly, mode: 'embedding' } }));
    expect(map.prices[0]?.prices.rates).toEqual({ input: 1_000_000_000n, output: 0n });
    expect(reasonOf(inputOnly)).toBe('has no price of its output tokens');
  });

  it('keeps limits that can be, and drops a longest prompt that is shorter than its tier', () => {
    const limitsOf = (fields: Fields) => {
      const [price] = readLiteLlmMap(fileOf({ m: { ...basics, ...fields } })).prices;
      return [price?.maxInputTokens, price?.maxOutputTokens];
    };
    expect(limitsOf({ max_input_tokens: 128_000, max_output_tokens: 4_096 })).toEqual([128_000, 4_096]);
    expect(limitsOf({ max_input_tokens: 0, max_output_tokens: 1.5 })).toEqual([null, null]);
    expect(limitsOf({ max_input_tokens: 2_000_000_000, max_output_tokens: 'many' })).toEqual([null, null]);
    const long = { input_cost_per_token_above_200k_tokens: decimal('2e-6') };
    expect(limitsOf({ ...long, max_input_tokens: 200_000 })).toEqual([null, null]);
    expect(limitsOf({ ...long, max_input_tokens: 200_001 })).toEqual([200_001, null]);
  });

  it('says that a model is free, and takes its zero for a zero', () => {
    const map = readLiteLlmMap(
      fileOf({ local: { ...chat, input_cost_per_token: 0, output_cost_per_token: decimal('0.0') } }),
    );
    expect(map.prices[0]?.prices.rates).toEqual({ input: 0n, output: 0n });
    expect(map.free).toEqual(['local']);
  });

  it('says which prices it leaves out of a model that it takes', () => {
    const map = readLiteLlmMap(
      fileOf({
        a: { ...basics, input_cost_per_video_per_second: decimal('0.1'), supports_vision: true },
        b: { ...basics, input_cost_per_video_per_second: decimal('0.2'), input_cost_per_character: 0 },
      }),
    );
    expect(map.uncharged).toEqual(new Map([['input_cost_per_video_per_second', 2]]));
  });

  it.each([
    [
      { ...chat, input_cost_per_second: decimal('0.1') },
      'is paid by input_cost_per_second, which isn’t measured',
    ],
    [
      { ...chat, input_cost_per_token: 0, output_cost_per_token: 0, input_cost_per_query: decimal('0.002') },
      'is paid by input_cost_per_query, which isn’t measured',
    ],
    [chat, 'has no price'],
    [{ ...basics, litellm_provider: undefined }, 'names no provider'],
    [{ ...basics, litellm_provider: 'a b' }, 'has no usable provider'],
    [{ ...basics, input_cost_per_token: decimal('-1') }, 'has a price that is none in input_cost_per_token'],
    [{ ...basics, output_cost_per_token: 'cheap' }, 'has a price that is none in output_cost_per_token'],
    [
      { ...basics, cache_read_input_token_cost: [1] },
      'has a price that is none in cache_read_input_token_cost',
    ],
    [
      { ...basics, tiered_pricing: [{ range: [0, 1], input_cost_per_token: decimal('1e99') }] },
      'has a price that is none in tiered_pricing.input_cost_per_token',
    ],
  ])('skips %j', (fields, reason) => {
    const known = { ...basics, litellm_provider: 'other' };
    const map = readLiteLlmMap(fileOf({ known, model: fields }));
    expect(map.prices.map(({ provider }) => provider)).toEqual(['other']);
    expect(map.skipped).toEqual([{ key: 'model', reason: reason.replaceAll('’', "'") }]);
  });

  it('takes nothing from what isn’t a model', () => {
    const map = readLiteLlmMap(
      fileOf({
        sample_spec: basics,
        fallback_generalizations: { rules: [] },
        last_updated: 'now',
        m: basics,
        n: [],
      }),
    );
    expect(map.prices.map(({ model }) => model)).toEqual(['m']);
    expect(map.skipped).toEqual([{ key: 'n', reason: 'is no object' }]);
  });

  it.each([
    'not json',
    '[]',
    'null',
    '{}',
    '{"gpt-4o": {"input": 1}}',
    '['.repeat(500_000),
    `{"a": ${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
  ])('refuses a file that is none: %.20s', (text) => {
    expect(() => readLiteLlmMap(text)).toThrow(NoPriceMapError);
  });
});

describe('a model of the map', () => {
  const nameOf = (provider: string, key: string) => {
    const [price] = readLiteLlmMap(fileOf({ [key]: { ...basics, litellm_provider: provider } })).prices;
    return [price?.provider, price?.model];
  };

  it.each([
    ['openai', 'gpt-4o', 'openai', 'gpt-4o'],
    ['text-completion-openai', 'babbage-002', 'openai', 'babbage-002'],
    ['gemini', 'gemini/gemini-2.5-pro', 'gemini', 'gemini-2.5-pro'],
    ['vertex_ai-language-models', 'gemini-2.5-pro', 'vertex', 'gemini-2.5-pro'],
    [
      'vertex_ai-anthropic_models',
      'vertex_ai/claude-opus-4-1@20250805',
      'vertex',
      'claude-opus-4-1@20250805',
    ],
    ['azure', 'azure/eu/gpt-4o', 'azure', 'eu/gpt-4o'],
    ['azure_ai', 'azure_ai/grok-3', 'azure', 'grok-3'],
    ['bedrock_converse', 'us.anthropic.claude-opus-5', 'bedrock', 'us.anthropic.claude-opus-5'],
    ['bedrock', 'bedrock/us-east-1/mistral.mistral-large', 'bedrock', 'us-east-1/mistral.mistral-large'],
    ['openrouter', 'openrouter/anthropic/claude-opus-4', 'openrouter', 'anthropic/claude-opus-4'],
    ['together_ai', 'together_ai/meta-llama/Llama-3', 'together', 'meta-llama/Llama-3'],
    ['fireworks_ai-embedding-models', 'fireworks_ai/nomic-ai/x', 'fireworks', 'nomic-ai/x'],
    ['xai', 'xai/grok-4', 'xai', 'grok-4'],
    ['dashscope', 'dashscope/qwen-max', 'alibaba', 'qwen-max'],
    ['vercel_ai_gateway', 'vercel_ai_gateway/openai/gpt-4o', 'vercel-gateway', 'openai/gpt-4o'],
    ['constructor', 'constructor/x', 'constructor', 'x'],
  ])('of %s, %s, is known to %s as %s', (liteLlmProvider, key, provider, model) => {
    expect(nameOf(liteLlmProvider, key)).toEqual([provider, model]);
  });

  it.each(['1024-x-1024/dall-e-2', 'azure/hd/1024-x-1792/dall-e-3', 'together-ai-4.1b-8b'])(
    'isn’t %s, which no upstream knows',
    (key) => {
      expect(reasonOf(basics, key)).toMatch(/not a model$/);
    },
  );

  it('is there once, by a rule that doesn’t depend on the file’s order', () => {
    const deepseek = { ...basics, litellm_provider: 'deepseek' };
    const dearer = { ...deepseek, input_cost_per_token: decimal('9e-6') };
    const free = { ...deepseek, input_cost_per_token: 0, output_cost_per_token: 0 };
    const entries = [
      ['chat', deepseek],
      ['deepseek/chat', dearer],
      ['deepseek/free', free],
      ['free', deepseek],
      ['same', deepseek],
      ['deepseek/same', deepseek],
    ] as const;
    const map = readLiteLlmMap(fileOf(Object.fromEntries(entries)));
    expect(readLiteLlmMap(fileOf(Object.fromEntries(entries.toReversed())))).toEqual(map);
    expect(map.prices.map(({ model, prices }) => [model, prices.rates.input])).toEqual([
      ['chat', 9_000_000_000n],
      ['free', 1_000_000_000n],
      ['same', 1_000_000_000n],
    ]);
    expect(map.skipped).toEqual([
      { key: 'chat', reason: 'is the same model at another price than "deepseek/chat"' },
      { key: 'deepseek/free', reason: 'is the same model at another price than "free"' },
      { key: 'same', reason: 'is the same model as "deepseek/same"' },
    ]);
  });

  it('is left alone where another provider is asked for', () => {
    const text = fileOf({ a: basics, 'groq/b': { ...basics, litellm_provider: 'groq' } });
    const map = readLiteLlmMap(text, new Set(['groq']));
    expect(map.prices.map(({ model }) => model)).toEqual(['b']);
    expect(map.providers).toEqual(['groq', 'openai']);
  });
});

/** Shared beside the repository, not in it. */
const published = new URL('../../../shared/prices/litellm-model-prices.json', import.meta.url);

/** A decimal in nano per million, by moving its point as text: null where it doesn't come out whole. */
function byHand(text: string): bigint | null {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const point = whole.length + Number(exponent) + 15;
  const digits = `${whole}${fraction}`.padEnd(point, '0');
  if (point < 0 || /[1-9]/.test(digits.slice(point))) return null;
  return BigInt(digits.slice(0, point) || '0');
}

const memberPattern =
  /^ {4}"((?:in|out)put_cost_per(?:_audio)?_token|cache_read_input_token_cost|cache_creation_input_token_cost(?:_above_1hr)?)((?:_above_\d+k_tokens)?)((?:_(?:batches|flex|priority))?)": ([-0-9.eE+]+)/gm;

const classes: Readonly<Record<string, string>> = {
  input_cost_per_token: 'input',
  output_cost_per_token: 'output',
  input_cost_per_audio_token: 'input_audio',
  output_cost_per_audio_token: 'output_audio',
  cache_read_input_token_cost: 'cache_read',
  cache_creation_input_token_cost: 'cache_write_5m',
  cache_creation_input_token_cost_above_1hr: 'cache_write_1h',
};

function rateAt(prices: PriceList, usageClass: string, above: string, tier: string, provider: string) {
  const list = tier === '' ? prices : prices.serviceTiers?.[tier.slice(1).replace('batches', 'batch')];
  if (above === '') return list?.rates[usageClass];
  const bound = Number(/\d+/.exec(above)?.[0]) * 1_000 - (provider === 'xai' ? 1 : 0);
  return list?.tiers?.find(({ aboveInputTokens }) => aboveInputTokens === bound)?.rates[usageClass];
}

describe('the published map', () => {
  it('is read to the digit, in every token price of every model', () => {
    if (!existsSync(published)) {
      console.info('the published map isn’t here: 0 of its models run; the other tests run all the same');
      return;
    }
    const text = readFileSync(published, 'utf8');
    const numbersAsText = (_key: string, value: unknown, { source }: { source?: string }) =>
      typeof value === 'number' ? source : value;
    const entries = JSON.parse(text, numbersAsText as (key: string, value: unknown) => unknown);
    const count = { models: 0, prices: 0, rounded: 0 };
    // The expected digits come from the file's text and not from a JSON parser: two spaces before an entry.
    for (const [, key = '', body = ''] of text.matchAll(/^ {2}"([^"]+)": \{\n((?: {4}.*\n)*)/gm)) {
      const read = readEntry(key, entries[key]);
      if (!('price' in read)) continue;
      count.models++;
      for (const [, member = '', above = '', tier = '', decimal = ''] of body.matchAll(memberPattern)) {
        const rate = rateAt(read.price.prices, classes[member] ?? '', above, tier, read.provider);
        const expected = byHand(decimal);
        count.prices++;
        if (expected === rate) continue;
        // Float noise: it is told, and less than a part in 1e11 of the price.
        count.rounded++;
        expect([key, member, read.rounded]).toEqual([key, member, true]);
        expect(Math.abs(Number(rate) / (Number(decimal) * 1e15) - 1)).toBeLessThan(1e-11);
      }
    }
    const map = readLiteLlmMap(text);
    const { models, prices, rounded } = count;
    console.info(
      `the published map: ${prices} prices of ${models} models compared, ${rounded} rounded; ` +
        `${map.prices.length} models imported, ${map.skipped.length} skipped`,
    );
    expect(prices).toBeGreaterThan(6_000);
    expect(rounded).toBeLessThan(50);
    expect(map.prices.length + map.skipped.length).toBe(Object.keys(entries).length - 3);
  });
});
