import type { Target } from '../catalog/catalog.ts';
import type { AnswerReading } from '../dialects/dialect.ts';
import { type Charge, charge, type Used } from '../domain/charge.ts';
import { within } from '../domain/clock.ts';
import type { NanoUsd } from '../domain/money.ts';
import { type PriceList, unitMultiplierPpm } from '../domain/pricing.ts';
import { receiptOf } from '../domain/receipt.ts';
import type { Soon } from '../domain/soon.ts';
import type { Outcome } from '../domain/transaction.ts';
import { addUsage, inputTokens, type MeteredUsage, outputTokens, type Usage } from '../domain/usage.ts';
import type { Commit } from '../ledger/ledger.ts';
import { inSpan } from '../observability/tracer.ts';
import type { Closing, Settled } from './commit.ts';
import type { Exchange, ExchangeOptions } from './exchange.ts';
import { meter } from './meter.ts';
import { costPrices, type PricedModelUsage, pricesOfOthers } from './other-prices.ts';
import { storable } from './progress.ts';
import { soundReading } from './sound-reading.ts';

/** How the exchange ended, and what upstream said of it. */
export interface Ending {
  readonly outcome: Outcome;
  readonly reading: AnswerReading;
  readonly complete: boolean;
}

/** An ending with what it costs, not committed yet. */
export interface Priced {
  readonly ending: Ending;
  readonly metered: MeteredUsage;
  readonly charged: Charge;
  readonly costAmount: NanoUsd | null;
}

/** Meters, prices and commits. */
export async function settle(
  exchange: Exchange,
  ending: Ending,
  options: ExchangeOptions,
): Promise<Settled | null> {
  return await commitPriced(exchange, await price(exchange, ending, options), options);
}

/** Meters and prices. */
export async function price(
  { open, request, forwarded }: Exchange,
  ending: Ending,
  options: ExchangeOptions,
): Promise<Priced> {
  const { reading: read, complete } = ending;
  const reading = soundReading(read, () =>
    options.observer.fault('reading usage', new Error('a count that is none'), open.traceId),
  );
  const { route } = forwarded.target;
  const metered = meter({ request, upstreamModel: route.upstreamModel, reading, complete }, options);
  const own = metered instanceof Promise ? await metered : metered;
  const prices = findPrices(forwarded.target, reading, options);
  const { others, ownCost } = prices instanceof Promise ? await prices : prices;
  const used = {
    usage: own.usage,
    otherModels: others,
    serviceTier: reading.serviceTier === null ? null : storable(reading.serviceTier),
    askedServiceTier: request.serviceTier === null ? null : storable(request.serviceTier),
  };
  const charged = charge(used, open.prices, open.terms.rateMultiplierPpm);
  const usage = others.reduce((sum, other) => addUsage(sum, other.usage), own.usage);
  if (complete) remember(reading.answerId, own.usage, options);
  return {
    ending: { ...ending, reading },
    metered: { usage, method: own.method },
    charged,
    costAmount: costOf(used, ownCost) ?? reading.statedCost,
  };
}

/** Commits; waits for the ledger, but not for longer than the client should. */
export async function commitPriced(
  exchange: Exchange,
  priced: Priced,
  options: ExchangeOptions,
): Promise<Settled | null> {
  const { forwarded, progress } = exchange;
  const { ending, metered, charged } = priced;
  const { outcome, reading } = ending;
  progress.spans?.upstreamEnded({ outcome, metered, reading });
  const closing = closingOf(exchange, priced);
  const commit = inSpan(progress.spans, 'commit', () => options.settlements.commit(closing));
  progress.committed(outcome, forwarded.target.upstream.provider, metered, charged);
  commit.then((settled) => tellCharge(exchange, priced, settled, options)).catch(() => undefined);
  return await within(options.clock, commit, options.commitWaitMs);
}

/** Told once the ledger has it, whether the client waited for that or not. */
function tellCharge(
  { open, request }: Exchange,
  { metered, charged, costAmount }: Priced,
  settled: Settled,
  { observer }: ExchangeOptions,
): void {
  if (settled.kind !== 'charged') return;
  observer.charged({
    model: open.model,
    stream: request.stream,
    metered,
    amount: charged.amount,
    costAmount,
  });
}

/** What is to be committed. */
export function closingOf(
  { open, forwarded, progress }: Exchange,
  { ending, metered, charged, costAmount }: Priced,
): Closing<Commit> {
  const { outcome, reading } = ending;
  const { statedCost, reported } = reading;
  return {
    tenantId: open.tenantId,
    apiKeyId: open.apiKeyId,
    traceId: open.traceId,
    transactionId: open.transactionId,
    amount: charged.amount,
    metered,
    costAmount,
    rates: charged.rates,
    receipt: receiptOf(charged, { statedCost, reported: keptUsage(reported) }),
    provider: forwarded.target.upstream.provider,
    record: progress.record(outcome, reading.finishReason, reading.error),
  };
}

/** A price that can't be looked up in this time is gone without: the commit waits for it. */
const priceWaitMs = 2_000;

interface FoundPrices {
  readonly others: readonly PricedModelUsage[];
  /** What the provider charges us for the model that was asked for; null where nobody knows. */
  readonly ownCost: PriceList | null;
}

/** All prices that what upstream says makes necessary, looked up at once so that they share one wait. */
function findPrices(target: Target, reading: AnswerReading, options: ExchangeOptions): Soon<FoundPrices> {
  const otherModels = reading.otherModels.map(({ model, usage }) => ({ model: storable(model), usage }));
  const others = pricesOfOthers(otherModels, target.upstream.provider, options);
  const ownCost = costPrices(target, options);
  if (!(others instanceof Promise) && !(ownCost instanceof Promise)) return { others, ownCost };
  const unpriced = () => otherModels.map((other) => ({ ...other, prices: null, costPrices: null }));
  return Promise.all([soonOrNull(others, options), soonOrNull(ownCost, options)]).then(
    ([othersInTime, ownCostInTime]) => ({ others: othersInTime ?? unpriced(), ownCost: ownCostInTime }),
  );
}

function soonOrNull<T>(prices: Soon<T>, { clock }: ExchangeOptions): Soon<T | null> {
  return prices instanceof Promise ? within(clock, prices, priceWaitMs) : prices;
}

/** What the provider charges us; null where its prices aren't known, or not those of what served it. */
function costOf(
  used: Omit<Used, 'otherModels'> & { readonly otherModels: readonly PricedModelUsage[] },
  prices: PriceList | null,
): NanoUsd | null {
  if (prices === null) return null;
  const otherModels = used.otherModels.map((other) => ({ ...other, prices: other.costPrices }));
  const { amount, serviceTierIsPriced } = charge({ ...used, otherModels }, prices, unitMultiplierPpm);
  return serviceTierIsPriced ? amount : null;
}

/** A request that goes on from an answer has all of it in its prompt. */
function remember(answerId: string | null, usage: Usage, { rememberedInput }: ExchangeOptions): void {
  if (answerId !== null) rememberedInput.remember(answerId, inputTokens(usage) + outputTokens(usage));
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
  const { tenantId, apiKeyId, traceId, transactionId } = open;
  progress.voided(outcome, forwarded.target.upstream.provider);
  progress.spans?.upstreamEnded({ outcome, metered: null, reading: null });
  const closing = { tenantId, apiKeyId, traceId, transactionId, description: storable(description), record };
  const voided = inSpan(progress.spans, 'void', () => options.settlements.void(closing));
  await within(options.clock, voided, options.commitWaitMs);
}
