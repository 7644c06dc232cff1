import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AnyJson } from './support/admin-plane.ts';
import { addTenant, startGateway, type TestGateway, type TestTenant } from './support/gateway.ts';
import { expectReceiptToExplain } from './support/receipts.ts';

// What an answer says about itself decides its price, and the receipt tells how.

let gateway: TestGateway;
let provider: Server;
let tenant: TestTenant;
/** What the provider answers next. */
let answer: object = {};
/** In its place, text that no object stands for. */
let raw: string | null = null;

const rates = {
  input_per_1m: '1',
  cache_read_per_1m: '0.1',
  output_per_1m: '10',
  per_request: '0.001',
  per_web_search: '0.01',
  tiers: [{ above_input_tokens: 200_000, input_per_1m: '2', output_per_1m: '15' }],
  service_tiers: { flex: { input_per_1m: '0.5', output_per_1m: '5' } },
};

beforeAll(async () => {
  provider = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(raw ?? JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  gateway = await startGateway();
  const { port } = provider.address() as AddressInfo;
  await gateway.admin('POST', '/upstreams', {
    id: 'up',
    provider: 'openrouter',
    dialects: ['openai.chat', 'anthropic.messages'],
    base_url: `http://127.0.0.1:${port}`,
  });
  const route = { upstream: 'up', upstream_model: 'theirs' };
  const costRates = { input_per_1m: '0.8', output_per_1m: '8' };
  await gateway.admin('PUT', '/models/priced', { routes: [{ ...route, cost_rates: costRates }], rates });
  await gateway.admin('PUT', '/models/costless', { routes: [route], rates });
  await gateway.admin('PUT', '/models/judge', {
    routes: [route],
    rates: { input_per_1m: '15', output_per_1m: '75' },
  });
  tenant = await addTenant(gateway, { balance: '100' });
});

afterAll(async () => {
  await gateway.stop();
  provider.close();
});

async function bill(
  given: object,
  model = 'priced',
  path = '/v1/chat/completions',
  more: object = {},
): Promise<AnyJson> {
  answer = given;
  const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
  const sent = await gateway.call(
    path,
    { model, messages, max_tokens: 1000, ...more },
    { authorization: `Bearer ${tenant.apiKey}` },
  );
  expect(sent.text).toBe(raw ?? JSON.stringify(given));
  const id = sent.headers.get('x-billing-transaction-id');
  const transaction = await gateway.admin('GET', `/transactions/${id}`);
  expect(transaction.amount).toBe(sent.headers.get('x-billing-amount'));
  expectReceiptToExplain(transaction);
  return transaction;
}

const completion = (usage: object, more: object = {}) => ({
  choices: [{ index: 0, message: { role: 'assistant', content: 'Deep.' }, finish_reason: 'stop' }],
  usage,
  ...more,
});
const tokens = (prompt: number, output: number, more: object = {}) => ({
  prompt_tokens: prompt,
  completion_tokens: output,
  total_tokens: prompt + output,
  ...more,
});

it('a prompt up to the bound of a tier has the base rates, one token more the rates of the tier for all of it', async () => {
  const below = await bill(completion(tokens(200_000, 1000)));
  expect(below).toMatchObject({ amount: '0.211', input_price: '1', output_price: '10' });
  const above = await bill(completion(tokens(200_001, 1000)));
  expect(above).toMatchObject({ amount: '0.416002', input_price: '2', output_price: '15' });
  expect(above.receipt).toMatchObject({ tier_above_input_tokens: 200_000 });
});

it('a service tier that the answer names has its own rates, and one without any is marked', async () => {
  const flex = await bill(completion(tokens(1000, 1000), { service_tier: 'flex' }));
  expect(flex).toMatchObject({ amount: '0.0065' });
  expect(flex.receipt).toMatchObject({ service_tier: 'flex', service_tier_is_priced: true });
  const scale = await bill(completion(tokens(1000, 1000), { service_tier: 'scale' }));
  expect(scale).toMatchObject({ amount: '0.012' });
  expect(scale.receipt).toMatchObject({ service_tier: 'scale', service_tier_is_priced: false });
  const standard = await bill(completion(tokens(1000, 1000), { service_tier: 'default' }));
  expect(standard.receipt).toMatchObject({ service_tier: null });
});

it('a tier that the client names makes nothing cheaper where the answer does not say what served it', async () => {
  const asked = (tier: string) =>
    bill(completion(tokens(1000, 1000)), 'priced', undefined, { service_tier: tier });
  expect(await asked('flex')).toMatchObject({ amount: '0.012' });
  expect((await asked('flex')).receipt).toMatchObject({ service_tier: null });
  expect((await asked('priority')).receipt).toMatchObject({
    service_tier: 'priority',
    service_tier_is_priced: false,
  });
  // Nobody knows what a tier without prices costs us.
  expect((await asked('priority')).cost_amount).toBeNull();
});

it('what the provider charges is kept beside the charge: by the rates of its route, or as it says itself', async () => {
  const usage = tokens(1000, 1000, { cost: 0.00123456789 });
  const own = await bill(completion(usage));
  expect(own).toMatchObject({ cost_amount: '0.0088' });
  expect(own.receipt).toMatchObject({ provider_stated_cost: '0.001234568', provider_usage: usage });
  expect((await bill(completion(usage), 'costless')).cost_amount).toBe('0.001234568');
  expect((await bill(completion(tokens(1000, 1000)), 'costless')).cost_amount).toBeNull();
});

it('a class without a rate is charged as its sibling and marked, and what no class knows is kept', async () => {
  const details = { completion_tokens_details: { reasoning_tokens: 400 }, novelty: { depth: [1, 2] } };
  const transaction = await bill(completion(tokens(1000, 1000, details)));
  expect(transaction).toMatchObject({ amount: '0.012', usage: { output: 600, reasoning: 400 } });
  expect(transaction.receipt.fallbacks).toEqual([{ class: 'reasoning', charged_as: 'output' }]);
  expect(transaction.receipt.provider_usage.novelty).toEqual({ depth: [1, 2] });
});

it('what SQL can not hold of a provider costs nobody a bill', async () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  for (const odd of ['a\u0000b', '\ud800', 'x'.repeat(20_000)]) {
    const transaction = await bill(completion(tokens(1000, 1000, { odd }), { service_tier: odd }));
    expect(transaction).toMatchObject({ amount: '0.012', status: 'COMMITTED' });
    expect(transaction.receipt.provider_usage).toBeNull();
  }
  raw = JSON.stringify(completion(tokens(1000, 1000, { deep: 'here' }))).replace('"here"', deep);
  expect(await bill({})).toMatchObject({ amount: '0.012', status: 'COMMITTED' });
  raw = null;
});

it('a tool is charged by its uses', async () => {
  const searches = { server_tool_use_details: { web_search_requests: 3 } };
  const transaction = await bill(completion(tokens(1000, 1000, searches)));
  expect(transaction).toMatchObject({ amount: '0.042', usage: { web_search: 3 } });
});

it('what an advisor of another model used is charged at the price of that model', async () => {
  const transaction = await bill(
    {
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: 'Deep.' }],
      stop_reason: 'end_turn',
      usage: {
        input_tokens: 1000,
        output_tokens: 1000,
        iterations: [
          { type: 'message', input_tokens: 1000, output_tokens: 1000 },
          { type: 'advisor_message', model: 'judge', input_tokens: 2000, output_tokens: 100 },
        ],
      },
    },
    'priced',
    '/v1/messages',
  );
  // 0.012 of the model itself, and 2,000 × 15 + 100 × 75 per million of the advisor.
  expect(transaction).toMatchObject({ amount: '0.0495', input_tokens: 3000, output_tokens: 1100 });
  expect(transaction.receipt.lines.filter(({ model }: AnyJson) => model === 'judge')).toHaveLength(2);
});
