import { expect, it } from 'vitest';
import type { BookPrice, Catalog, Target } from '../catalog/catalog.ts';
import { nothingSaid } from '../dialects/dialect.ts';
import { systemClock } from '../domain/clock.ts';
import type { TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { parseAmount, type Rate } from '../domain/money.ts';
import type { Commit } from '../ledger/ledger.ts';
import type { Exchange, ExchangeOptions } from './exchange.ts';
import { RememberedInput } from './remembered-input.ts';
import { settle } from './settle.ts';

const perToken = (nano: bigint) => ({ rates: { output: (nano * 1_000_000n) as Rate } });
const bookPrice = (nano: bigint): BookPrice => ({
  prices: perToken(nano),
  maxInputTokens: null,
  maxOutputTokens: null,
  source: 'test',
});

/** What is committed for a token of the model asked for, at 1, and one of another model, where prices are found so. */
async function committedWith(findPrice: Catalog['findPrice']): Promise<Commit | undefined> {
  const commits: Commit[] = [];
  const exchange = {
    open: {
      tenantId: 'tenant' as TenantId,
      traceId: 'trace' as TraceId,
      transactionId: 'transaction' as TransactionId,
      prices: perToken(1n),
      terms: {
        currency: 'USD',
        rateMultiplierPpm: 1_000_000n,
        maxOpenRequests: null,
        blockOnInsufficient: null,
        allowNegative: null,
        streamAllowNegative: null,
      },
    },
    request: { stream: false, serviceTier: null, continues: null },
    forwarded: {
      target: {
        route: { upstreamModel: 'own', costRates: null },
        upstream: { provider: 'sim' },
      } as unknown as Target,
    },
    progress: { spans: null, record: () => ({}), committed: () => undefined },
  } as unknown as Exchange;
  const options = {
    catalog: { findModel: async () => undefined, findPrice } as unknown as Catalog,
    clock: { ...systemClock, now: () => 0, monotonic: () => 0 },
    observer: { fault: () => undefined },
    tokenizer: { learn: () => undefined },
    rememberedInput: new RememberedInput(),
    commitWaitMs: 1_000,
    settlements: { commit: async (commit: Commit) => commits.push(commit) },
  } as unknown as ExchangeOptions;
  const reading = {
    ...nothingSaid,
    generated: { texts: [], overhead: 0 },
    usage: { output: 1 },
    otherModels: [{ model: 'other', usage: { output: 1 } }],
  };
  await settle(exchange, { outcome: 'completed', reading, complete: true }, options);
  return commits[0];
}

it('waits for all prices at once, so that a slow price book delays the commit by one wait', async () => {
  const bothAsked = Promise.withResolvers<void>();
  const asked = new Set<string>();
  const commit = await committedWith(async (_, model) => {
    asked.add(model);
    if (asked.size === 2) bothAsked.resolve();
    await bothAsked.promise;
    return bookPrice(model === 'own' ? 10n : 100n);
  });
  expect(commit).toMatchObject({
    amount: parseAmount('0.000000101'),
    costAmount: parseAmount('0.00000011'),
    metered: { usage: { output: 2 }, method: 'usage' },
  });
});

it.concurrent.each([
  ['other', { amount: parseAmount('0.000000002'), costAmount: parseAmount('0.00000002') }],
  ['own', { amount: parseAmount('0.000000101'), costAmount: null }],
])(
  'goes without the price of the model "%s" that nobody tells, and not without the one that was found',
  async (silent, expected) => {
    const commit = await committedWith(async (_, model) => {
      if (model === silent) await new Promise<never>(() => undefined);
      return bookPrice(model === 'own' ? 10n : 100n);
    });
    expect(commit).toMatchObject(expected);
  },
);
