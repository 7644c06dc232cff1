import { afterAll, beforeAll, expect } from 'vitest';
import { parseAmount } from '../../src/domain/money.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import type { AnyJson } from './admin-plane.ts';
import {
  addTenant,
  type GatewayOptions,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  type TestTenant,
} from './gateway.ts';

const dialects = [
  'openai.chat',
  'openai.responses',
  'openai.completions',
  'openai.embeddings',
  'anthropic.messages',
  'gemini.generate',
];

/** A price for each class that an answer of the simulated provider may have. */
const rates = {
  input_per_1m: '1.00',
  output_per_1m: '3.00',
  reasoning_per_1m: '5.00',
  cache_read_per_1m: '0.10',
  cache_write_5m_per_1m: '1.25',
  cache_write_1h_per_1m: '2.00',
};
/** The same in nano-dollars a token. */
const nanoPerToken: Readonly<Record<string, bigint>> = {
  input: 1000n,
  output: 3000n,
  reasoning: 5000n,
  cache_read: 100n,
  cache_write_5m: 1250n,
  cache_write_1h: 2000n,
};

/** What the models of every client test do. */
export const simulatedModels: Readonly<Record<string, string>> = {
  fast: 'ttfb_ms=0&tokens_per_second=0&tokens=30',
  thinking: 'ttfb_ms=0&tokens_per_second=0&tokens=30&reasoning=20',
  cached:
    'ttfb_ms=0&tokens_per_second=0&tokens=30&cached_tokens=4&cache_write_tokens=3&cache_write_1h_tokens=2',
  endless: 'ttfb_ms=0&tokens_per_second=200&tokens=4000',
  refusing: 'ttfb_ms=0&fault=refuse_429',
  breaking: 'ttfb_ms=0&tokens_per_second=0&tokens=30&fault=error_event&after=20',
};

/** A gateway before the simulated provider, which serves each model in every wire format, and a tenant. */
export interface Setting {
  readonly gateway: TestGateway;
  readonly simulator: Simulator;
  readonly tenant: TestTenant;
  /** The tenant's newest transaction, once nothing of it is open. */
  lastCharge(): Promise<AnyJson>;
  countCharges(): Promise<number>;
}

export function startSetting(options: GatewayOptions = {}): Setting {
  let setting: Omit<Setting, 'lastCharge' | 'countCharges'>;
  beforeAll(async () => {
    const simulator = await startSimulator();
    const gateway = await startGateway(options);
    await gateway.admin('POST', '/upstreams', { id: 'simulated', dialects, base_url: simulator.origin });
    for (const [name, directives] of Object.entries(simulatedModels)) {
      await gateway.admin('PUT', `/models/${name}`, {
        routes: [{ upstream: 'simulated', upstream_model: `sim?${directives}` }],
        rates,
        max_output_tokens: 8000,
      });
    }
    setting = { gateway, simulator, tenant: await addTenant(gateway) };
  });
  afterAll(async () => {
    await setting.gateway.stop();
    await setting.simulator.close();
  });
  const charges = () => settledTransactionsOf(setting.gateway, setting.tenant.id);
  return {
    get gateway() {
      return setting.gateway;
    },
    get simulator() {
      return setting.simulator;
    },
    get tenant() {
      return setting.tenant;
    },
    lastCharge: async () => (await charges()).at(-1),
    countCharges: async () => (await charges()).length,
  };
}

/** Expects a committed charge of just these tokens, at the price of each class. */
export function expectCharge(charge: AnyJson, tokens: Readonly<Record<string, number>>): void {
  const billed = Object.entries(charge.usage as Record<string, number>).filter(
    ([name, count]) => count > 0 && name !== 'requests',
  );
  const expected = Object.entries(tokens).filter(([, count]) => count > 0);
  expect(Object.fromEntries(billed)).toEqual(Object.fromEntries(expected));
  let nano = 0n;
  for (const [name, count] of expected) nano += BigInt(count) * (nanoPerToken[name] ?? 0n);
  expect(charge).toMatchObject({ type: 'CHARGE', status: 'COMMITTED', usage_method: 'usage' });
  expect(parseAmount(charge.amount)).toBe(nano);
}

/**
 * Expects what a client that left mid-stream is charged: the prompt, and no less than it received, and
 * no more than the provider sent, which was stopped.
 * @param most how many times the provider's own count ours may be, where we can't know its tokenizer
 */
export async function expectPartialCharge(setting: Setting, received: number, most = 1): Promise<void> {
  const charge = await setting.lastCharge();
  await setting.simulator.requests.settled();
  const sent = setting.simulator.requests.last;
  expect(sent).toMatchObject({ outcome: 'aborted' });
  expect(charge).toMatchObject({ type: 'CHARGE', status: 'COMMITTED' });
  expect(charge.input_tokens).toBeGreaterThan(0);
  expect(charge.output_tokens).toBeGreaterThanOrEqual(received);
  expect(charge.output_tokens).toBeLessThanOrEqual((sent?.tokensSent ?? 0) * most);
  expect(charge.output_tokens).toBeLessThan(3000);
}
