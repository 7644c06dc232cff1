import type { AnswerReading } from '../dialects/dialect.ts';
import { charge } from '../domain/pricing.ts';
import type { Outcome } from '../domain/transaction.ts';
import type { Charged, NotCharged } from './commit.ts';
import type { Exchange, ExchangeOptions } from './exchange.ts';
import { meter } from './meter.ts';
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
  const charged = charge(metered.usage, open.rates, open.terms.rateMultiplierPpm);
  const record = progress.record(outcome, reading.finishReason, reading.error);
  const commit = options.settlements.commit({
    tenantId: open.tenantId,
    traceId: open.traceId,
    transactionId: open.transactionId,
    amount: charged.amount,
    metered,
    costAmount: null,
    provider: upstream.provider,
    record,
  });
  progress.committed(outcome, upstream.provider, metered, charged);
  return await within(commit, options.commitWaitMs);
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
