import type { AnswerReading } from '../dialects/dialect.ts';
import { charge, unitMultiplierPpm } from '../domain/pricing.ts';
import { receiptOf } from '../domain/receipt.ts';
import type { Outcome } from '../domain/transaction.ts';
import { addUsage, inputTokens, outputTokens } from '../domain/usage.ts';
import type { Charged, NotCharged } from './commit.ts';
import type { Exchange, ExchangeOptions } from './exchange.ts';
import { meter } from './meter.ts';
import { costPrices, pricesOfOthers } from './other-prices.ts';
import { storable } from './progress.ts';

/** How the exchange ended, and what upstream said of it. */
export interface Ending {
  readonly outcome: Outcome;
  readonly reading: AnswerReading;
  readonly complete: boolean;
}

/** Meters, prices and commits; waits for the ledger, but not for longer than the client should. */
export async function settle(
  { open, request, forwarded, progress }: Exchange,
  { outcome, reading, complete }: Ending,
  options: ExchangeOptions,
): Promise<Charged | NotCharged | null> {
  const { upstream, route } = forwarded.target;
  const metered = await meter({ request, upstreamModel: route.upstreamModel, reading, complete }, options);
  const named = reading.serviceTier ?? request.serviceTier;
  const serviceTier = named === null ? null : storable(named);
  const otherModels = reading.otherModels.map(({ model, usage }) => ({ model: storable(model), usage }));
  const others = await pricesOfOthers(otherModels, upstream.provider, options);
  const used = { usage: metered.usage, otherModels: others, serviceTier };
  const charged = charge(used, open.prices, open.terms.rateMultiplierPpm);
  const ownCost = await costPrices(forwarded.target, options);
  const { statedCost, reported } = reading;
  const total = {
    usage: others.reduce((sum, { usage }) => addUsage(sum, usage), metered.usage),
    method: metered.method,
  };
  if (complete && reading.answerId !== null) {
    options.rememberedInput.remember(
      reading.answerId,
      inputTokens(metered.usage) + outputTokens(metered.usage),
    );
  }
  const record = progress.record(outcome, reading.finishReason, reading.error);
  const commit = options.settlements.commit({
    tenantId: open.tenantId,
    traceId: open.traceId,
    transactionId: open.transactionId,
    amount: charged.amount,
    metered: total,
    costAmount: ownCost === null ? statedCost : charge(used, ownCost, unitMultiplierPpm).amount,
    rates: charged.rates,
    receipt: receiptOf(charged, { statedCost, reported: keptUsage(reported) }),
    provider: upstream.provider,
    record,
  });
  progress.committed(outcome, upstream.provider, total, charged);
  return await within(commit, options.commitWaitMs);
}

/** A provider's usage object is small; one that isn't, is not worth a row's space. */
const longestKeptUsage = 16_384;

/** SQL's JSON has neither NUL nor half of a surrogate pair; a receipt that it refuses would refuse the commit. */
const unstorable = /\\u(0000|d[89a-f])/i;

/** What is kept of a provider's usage object beside its classes: all of it, as SQL can hold it. */
function keptUsage(reported: unknown): unknown {
  try {
    const text = JSON.stringify(reported);
    return text.length > longestKeptUsage || unstorable.test(text) ? null : reported;
  } catch {
    // It nests deeper than the stack.
    return null;
  }
}

/** Closes it without a charge; waits for the ledger likewise. */
export async function voidIt(
  { open, forwarded, progress }: Exchange,
  outcome: Outcome,
  description: string,
  options: ExchangeOptions,
): Promise<void> {
  const record = progress.record(outcome, null, description);
  const { tenantId, traceId, transactionId } = open;
  progress.voided(outcome, forwarded.target.upstream.provider);
  await within(
    options.settlements.void({
      tenantId,
      traceId,
      transactionId,
      description: storable(description),
      record,
    }),
    options.commitWaitMs,
  );
}

/** Null when it takes longer: it goes on all the same. */
async function within<T>(work: Promise<T>, waitMs: number): Promise<T | null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), waitMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
