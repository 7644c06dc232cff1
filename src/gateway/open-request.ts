import type { TenantTerms } from '../catalog/catalog.ts';
import { type Clock, sleep, type Timers } from '../domain/clock.ts';
import { type Refusal, refusal, refusalOf } from '../domain/errors.ts';
import type { ApiKeyId, InstanceId, RequestHash, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import type { NanoUsd } from '../domain/money.ts';
import type { PriceList } from '../domain/pricing.ts';
import type { UsageRecord } from '../domain/transaction.ts';
import type { HotState } from '../hot-state/hot-state.ts';
import type { Ledger, PendingDraft } from '../ledger/ledger.ts';
import type { Observer } from '../observability/observer.ts';
import { holdOf, type Settlements } from './commit.ts';
import { denial } from './denial.ts';
import type { HoldGrowth } from './hold-size.ts';
import type { TenantLoader } from './tenant-loader.ts';
import { conflictRefusal, repeatRefusal } from './trace.ts';

/** A request that is admitted: it has a hold, and from now on exactly one end. */
export interface OpenRequest {
  readonly transactionId: TransactionId;
  readonly tenantId: TenantId;
  readonly apiKeyId: ApiKeyId;
  readonly traceId: TraceId;
  readonly requestHash: RequestHash;
  readonly holdAmount: NanoUsd;
  /** Input and output at the most. */
  readonly holdTokens: number;
  readonly growth: HoldGrowth;
  readonly periodDay: string;
  /** The public name. */
  readonly model: string;
  /** Of the upstream that is tried first. */
  readonly provider: string;
  readonly prices: PriceList;
  readonly terms: TenantTerms;
  /** Limits of money and of requests a day and a month deny nothing. */
  readonly observe: boolean;
  /** The instance of this process that opened it. */
  readonly owner: InstanceId;
}

export interface OpenPendingOptions {
  readonly ledger: Ledger;
  readonly hotState: HotState;
  readonly tenants: TenantLoader;
  readonly settlements: Settlements;
  readonly observer: Observer;
  readonly clock: Clock & Timers;
  /** No request is open for longer: whoever finds its PENDING row later may settle it. */
  readonly pendingTtlMs: number;
}

/**
 * Makes the hold durable: before this resolves, no byte of the answer may reach the client. A hold in hot
 * state alone may be lost, and its money be held for another; with the row there, and the hold after it, no
 * loss makes it free again.
 */
export async function openPending(open: OpenRequest, options: OpenPendingOptions): Promise<Refusal | null> {
  const { hotState } = options;
  const hold = holdOf(open);
  const answer = await createPending(open, options);
  switch (answer.kind) {
    case 'created':
      return await confirmHold(open, options);
    case 'refused':
      return answer;
    case 'unknown_tenant':
      await hotState.release(hold);
      return refusal('API_KEY_INVALID', 'The tenant of this API key does not exist any more.');
    case 'duplicate':
    case 'conflict': {
      const { transaction } = answer;
      await hotState.release(hold);
      return answer.kind === 'duplicate' ? repeatRefusal(transaction) : conflictRefusal(transaction);
    }
  }
}

async function createPending(open: OpenRequest, options: OpenPendingOptions) {
  const { ledger, hotState, observer } = options;
  try {
    return await ledger.createPending(draftOf(open, options));
  } catch (error) {
    observer.fault('opening a transaction', error, open.traceId);
    const refused = refusalOf(error, 'Nothing was charged.');
    if (refused.code === 'OVERLOADED') await hotState.release(holdOf(open));
    else {
      // Whether the row was written is not known: it is voided as soon as the ledger answers again.
      voidUnbegun(open, 'never begun', options);
    }
    return refused;
  }
}

/** Hot state is asked for so long: a server that restarts or fails over is back by then. */
const confirmWithinMs = 3_000;
const confirmPauseMs = 100;

/** The row is there. Whether its hold still is decides whether the request may be served. */
async function confirmHold(open: OpenRequest, options: OpenPendingOptions): Promise<Refusal | null> {
  const answer = await askToConfirm(open, options);
  if (answer.kind === 'confirmed') return null;
  voidUnbegun(open, 'its hold was lost with hot state', options);
  switch (answer.kind) {
    case 'denied':
      return denial(answer, { holdAmount: open.holdAmount, tokens: open.holdTokens, affordable: null });
    case 'settled':
      return refusal(
        'HOT_STATE_UNAVAILABLE',
        'The hold of this request was lost. Nothing was charged; try again.',
      );
    case 'refused':
      return answer;
  }
}

async function askToConfirm(open: OpenRequest, options: OpenPendingOptions) {
  const { hotState, tenants, observer, clock } = options;
  const { tenantId, traceId, holdAmount, holdTokens: tokens, periodDay, observe } = open;
  const confirmation = { ...holdOf(open), holdAmount, tokens, periodDay, observe };
  const untilMs = clock.monotonic() + confirmWithinMs;
  for (;;) {
    try {
      const asking = tenants.ask(tenantId, () => hotState.confirm(confirmation));
      return asking instanceof Promise ? await asking : asking;
    } catch (error) {
      observer.fault('confirming a hold', error, traceId);
      if (clock.monotonic() + confirmPauseMs > untilMs) return refusalOf(error, 'Nothing was charged.');
      await sleep(clock, confirmPauseMs);
    }
  }
}

/** Closes what nothing was delivered of, as soon as the ledger answers; its hold goes with it. */
function voidUnbegun(open: OpenRequest, description: string, { settlements }: OpenPendingOptions): void {
  settlements.void({ ...open, description, record: neverBegun }).catch(() => undefined);
}

const neverBegun: UsageRecord = {
  outcome: 'upstream_refused',
  stream: false,
  streamCompleted: null,
  streamError: null,
  finishReason: null,
  latencyMs: 0,
  timeToFirstByteMs: null,
};

function draftOf(open: OpenRequest, { pendingTtlMs }: OpenPendingOptions): PendingDraft {
  return {
    id: open.transactionId,
    tenantId: open.tenantId,
    apiKeyId: open.apiKeyId,
    traceId: open.traceId,
    requestHash: open.requestHash,
    holdAmount: open.holdAmount,
    holdTokens: open.holdTokens,
    currency: open.terms.currency,
    provider: open.provider,
    model: open.model,
    rates: open.prices,
    multiplierPpm: open.terms.rateMultiplierPpm,
    inputPrice: open.prices.rates.input ?? null,
    outputPrice: open.prices.rates.output ?? null,
    periodDay: open.periodDay,
    ttlMs: pendingTtlMs,
    owner: open.owner,
  };
}
