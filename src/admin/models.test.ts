import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import { parseRate } from '../domain/money.ts';

let plane: TestPlane;
let counter = 0;

beforeAll(async () => {
  plane = await openTestPlane();
  for (const [id, dialects] of [
    ['openai', ['openai.chat', 'openai.responses']],
    ['azure', ['openai.chat']],
    ['anthropic', ['anthropic.messages']],
  ]) {
    await plane.make('POST', '/upstreams', { id, dialects, base_url: 'https://upstream.test/v1' });
  }
});

afterAll(() => plane.close());

const unique = () => `model-${counter++}`;
const rates = { input_per_1m: '2.50', output_per_1m: '10' };
const routes = [{ upstream: 'openai', upstream_model: 'gpt-4o-2024-11-20' }];

describe('putting a model', () => {
  test('it answers 200 with routes and prices, and the data plane serves it at once', async () => {
    const name = unique();
    expect(await plane.catalog.findModel(name)).toBeUndefined();
    const { status, body } = await plane.send('PUT', `/models/${name}`, {
      routes: [
        {
          upstream: 'azure',
          upstream_model: 'deployment',
          weight: 3,
          priority: 1,
          when_client_gone: 'drain',
        },
        ...routes,
      ],
      rates: { ...rates, cache_read_per_1k: '0.00125', per_request: '0.000000000000001', per_image: '0.04' },
      max_output_tokens: 16384,
    });
    expect(status).toBe(200);
    expect(body).toEqual({
      name,
      routes: [
        {
          upstream: 'azure',
          upstream_model: 'deployment',
          weight: 3,
          priority: 1,
          when_client_gone: 'drain',
          cost_rates: null,
        },
        {
          upstream: 'openai',
          upstream_model: 'gpt-4o-2024-11-20',
          weight: 1,
          priority: 0,
          when_client_gone: 'cancel',
          cost_rates: null,
        },
      ],
      rates: {
        input_per_1m: '2.5',
        output_per_1m: '10',
        cache_read_per_1m: '1.25',
        per_request: '0.000000000000001',
        per_image: '0.04',
      },
      rates_effective_from: expect.any(String),
      published_rates: null,
      scheduled_rates: [],
      max_input_tokens: null,
      max_output_tokens: 16384,
      created_at: expect.any(String),
    });
    expect(await plane.make('GET', `/models/${name}`)).toEqual(body);
    expect((await plane.make('GET', '/models')).data).toContainEqual(body);
    const served = await plane.catalog.findModel(name);
    expect(served?.rateCards[0]?.rates).toEqual({
      input: parseRate('2.5', 1_000_000),
      output: parseRate('10', 1_000_000),
      cache_read: parseRate('1.25', 1_000_000),
      requests: 1n,
      image: parseRate('0.04', 1),
    });
    expect(await plane.auditOf(name)).toEqual(['model.put']);
  });

  test.each(['openai/gpt-4o', '@cf/meta/llama-3.1:8b', 'ft:gpt-4o:acme::7q', 'a+b~c', 'models', 'x/'])(
    'the name %s comes whole by an encoded path and by a plain one',
    async (name) => {
      const put = await plane.send('PUT', `/models/${encodeURIComponent(name)}`, { routes, rates });
      expect(put.status).toBe(200);
      expect(put.body.name).toBe(name);
      for (const path of [encodeURIComponent(name), name]) {
        expect(await plane.send('GET', `/models/${path}`)).toEqual(put);
      }
    },
  );

  test('put twice within one millisecond, the later prices are in force', async () => {
    const name = unique();
    plane.time.nowMs = Date.now();
    for (const input of ['1', '2', '1.5']) {
      await plane.make('PUT', `/models/${name}`, { routes, rates: { ...rates, input_per_1m: input } });
    }
    expect((await plane.make('GET', `/models/${name}`)).rates.input_per_1m).toBe('1.5');
    plane.time.nowMs = null;
  });

  test('tiers, service tiers, units and costs of a route are read back as they were sent', async () => {
    const name = unique();
    const tiered = {
      ...rates,
      per_web_search: '0.01',
      tiers: [
        { above_input_tokens: 200_000, input_per_1m: '5', output_per_1m: '15' },
        { above_input_tokens: 500_000, input_per_1m: '7.5' },
      ],
      service_tiers: {
        flex: { input_per_1m: '1.25' },
        priority: { input_per_1m: '5', tiers: [{ above_input_tokens: 200_000, input_per_1m: '9' }] },
      },
    };
    const body = await plane.make('PUT', `/models/${name}`, {
      routes: [{ ...routes[0], cost_rates: { ...rates, input_per_1m: '2' } }],
      rates: { ...tiered, input_per_1m: '2.5' },
    });
    expect(body.rates).toEqual({ ...tiered, input_per_1m: '2.5' });
    expect(body.routes[0].cost_rates).toEqual({ ...rates, input_per_1m: '2' });
    expect(await plane.make('GET', `/models/${name}`)).toEqual(body);
  });

  test('rates that were announced are shown, and are in force from their moment on', async () => {
    const name = unique();
    const nowMs = Date.parse('2026-11-23T12:00:00.000Z');
    plane.time.nowMs = nowMs;
    await plane.make('PUT', `/models/${name}`, { routes, rates });
    const announced = await plane.make('PUT', `/models/${name}`, {
      routes,
      rates: { ...rates, input_per_1m: '9' },
      effective_from: '2026-12-01T00:00:00+01:00',
    });
    expect(announced.rates.input_per_1m).toBe('2.5');
    expect(announced.scheduled_rates).toEqual([
      { effective_from: '2026-11-30T23:00:00.000Z', rates: { ...rates, input_per_1m: '9' } },
    ]);
    plane.time.nowMs = Date.parse('2026-11-30T23:00:00.000Z');
    const later = await plane.make('GET', `/models/${name}`);
    expect(later.rates.input_per_1m).toBe('9');
    expect(later.scheduled_rates).toEqual([]);
    plane.time.nowMs = null;
  });

  test('a new model without rates is there, and has no price yet', async () => {
    const name = unique();
    const model = await plane.make('PUT', `/models/${name}`, { routes });
    expect(model.rates).toBeNull();
  });

  test('without rates the prices stay; everything else is replaced', async () => {
    const name = unique();
    const before = await plane.make('PUT', `/models/${name}`, { routes, rates, max_output_tokens: 7 });
    const after = await plane.make('PUT', `/models/${name}`, {
      routes: [{ upstream: 'azure', upstream_model: 'd' }],
    });
    expect(after.rates).toEqual(before.rates);
    expect(after.rates_effective_from).toBe(before.rates_effective_from);
    expect(after.max_output_tokens).toBeNull();
    expect(after.routes).toHaveLength(1);
  });

  test.each([
    ['no routes', { rates }, 'routes', /is required/],
    ['an empty list of routes', { routes: [], rates }, 'routes', /1 to 32 routes/],
    [
      'an unknown upstream',
      { routes: [...routes, { upstream: 'ghost', upstream_model: 'm' }], rates },
      'routes[1].upstream',
      /no upstream "ghost"/,
    ],
    [
      'no name of theirs',
      { routes: [{ upstream: 'openai' }], rates },
      'routes[0].upstream_model',
      /is required/,
    ],
    [
      'no weight',
      { routes: [{ ...routes[0], weight: 0 }], rates },
      'routes[0].weight',
      /whole number from 1/,
    ],
    [
      'an unknown policy',
      { routes: [{ ...routes[0], when_client_gone: 'wait' }], rates },
      'routes[0].when_client_gone',
      /cancel, drain/,
    ],
    [
      'an unknown member of a route',
      { routes: [{ ...routes[0], model: 'x' }], rates },
      'routes[0].model',
      /isn't known/,
    ],
    [
      'rates that are backdated',
      { routes, rates, effective_from: '2020-01-01T00:00:00Z' },
      'effective_from',
      /is over/,
    ],
    [
      'a moment without rates',
      { routes, effective_from: '2999-01-01T00:00:00Z' },
      'effective_from',
      /send them too/,
    ],
    [
      'tiers that do not ascend',
      {
        routes,
        rates: { ...rates, tiers: [2, 2].map((above) => ({ above_input_tokens: above, input_per_1m: '1' })) },
      },
      'rates.tiers[1].above_input_tokens',
      /larger than/,
    ],
    [
      'a tier that changes nothing',
      { routes, rates: { ...rates, tiers: [{ above_input_tokens: 2 }] } },
      'rates.tiers[0]',
      /has no rate/,
    ],
    [
      'prices for the standard tier as if it were another',
      { routes, rates: { ...rates, service_tiers: { default: { input_per_1m: '1' } } } },
      'rates.service_tiers.default',
      /is the standard tier/,
    ],
    [
      'both units in a tier',
      {
        routes,
        rates: {
          ...rates,
          tiers: [{ above_input_tokens: 2, input_per_1m: '1', input_per_1k: '1' }],
        },
      },
      'rates.tiers[0].input_per_1k',
      /one of the two/,
    ],
    [
      'an unknown rate of a service tier',
      { routes, rates: { ...rates, service_tiers: { flex: { speed: '1' } } } },
      'rates.service_tiers.flex.speed',
      /isn't known/,
    ],
    [
      'no output limit at all',
      { routes, rates, max_output_tokens: 0 },
      'max_output_tokens',
      /whole number from 1/,
    ],
    [
      'rates of the wrong kind',
      { routes, rates: { input_per_1m: 1, output_per_1m: '1' } },
      'rates.input_per_1m',
      /quotes/,
    ],
    ['an unknown rate', { routes, rates: { ...rates, audio: '1' } }, 'rates.audio', /isn't known/],
  ])('%s is 400 and creates nothing', async (_, body, param, words) => {
    const name = unique();
    const answer = await plane.send('PUT', `/models/${name}`, body);
    expect(answer.body.error).toMatchObject({
      code: 'REQUEST_INVALID',
      param,
      message: expect.stringMatching(words),
    });
    expect(answer.status).toBe(400);
    expect((await plane.send('GET', `/models/${name}`)).status).toBe(404);
  });

  test.each(['%20', 'a%00', '-a', `${'a'.repeat(257)}`, ''])('the name "%s" is 400', async (name) => {
    const { status, body } = await plane.send('PUT', `/models/${name}`, { routes, rates });
    expect(status).toBe(400);
    expect(body.error.param).toBe('model');
  });
});

test('an unknown model is 404', async () => {
  const { status, body } = await plane.send('GET', '/models/openai/none');
  expect(status).toBe(404);
  expect(body.error.message).toContain('openai/none');
});
