import { sleep, type Timers, within } from '../domain/clock.ts';
import { type ErrorCode, Fault } from '../domain/errors.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { formatAmount, type NanoUsd } from '../domain/money.ts';
import { Roster } from '../domain/roster.ts';
import type { Soon } from '../domain/soon.ts';
import { inputTokens, outputTokens } from '../domain/usage.ts';
import type { HoldRef, HotState } from '../hot-state/hot-state.ts';
import type { Commit, Ledger, Void } from '../ledger/ledger.ts';
import type { Observer } from '../observability/observer.ts';
import { OverdueCharges } from './overdue-charges.ts';

/** What a committed request did to the balance. */
export interface Charged {
  readonly kind: 'charged';
  readonly transactionId: TransactionId;
  readonly amount: NanoUsd;
  readonly balanceAfter: NanoUsd;
  /** The ledger had it before: an answer to an earlier attempt was lost, or another process has settled the same. */
  readonly wasThere: boolean;
}

/** The ledger closed it without a charge, or knows nothing of it. */
export interface NotCharged {
  readonly kind: 'not_charged';
}

/** Another process took this one for dead, and charged what was delivered until then as far as it knew. */
export interface ChargedByAnother {
  readonly kind: 'charged_by_another';
}

/** Without a charge. */
export interface Closed {
  /** It was closed before, however. */
  readonly wasThere: boolean;
}

export type Settled = Charged | NotCharged | ChargedByAnother;

/**
 * Closes open requests in the ledger and then in hot state. Neither a slow nor an absent ledger loses
 * one: each is tried until it is in, and `idle` tells when all are.
 */
export interface Settlements {
  /**
   * Resolves when the ledger has it, however long that takes; hot state hears of it then or soon after.
   * @throws whatever the ledger refuses it with: it then stays PENDING
   */
  commit(commit: Closing<Commit>): Promise<Settled>;
  void(close: Closing<Void>): Promise<Closed>;
  /** Resolves when everything that was begun is settled. */
  idle(): Promise<void>;
  /** How many are not settled yet. */
  readonly open: number;
  isSettling(transactionId: TransactionId): boolean;
  /** Whether an answer of the tenant was delivered whose charge the ledger can't take. */
  isOverdue(tenantId: TenantId): boolean;
}

/** With the API key, whose limits hot state has too. */
export type Closing<Close extends Commit | Void> = Close & { readonly apiKeyId: ApiKeyId };

export interface SettlementsOptions {
  readonly ledger: Ledger;
  readonly hotState: HotState;
  readonly observer: Observer;
  readonly clock: Timers;
}

const hotStateWaitMs = 250;

const firstPauseMs = 50;
/** What waits shares a statement, so that asking often costs little; what isn't in when a process dies is lost. */
const commitPauseMs = 500;
/** What is only given back may wait. */
const usualPauseMs = 5_000;

/** What the ledger refuses so often stays PENDING, with its money held, for a person to look at. */
const maxRefusals = 3;

const absences: ReadonlySet<ErrorCode> = new Set([
  'LEDGER_UNAVAILABLE',
  'HOT_STATE_UNAVAILABLE',
  'OVERLOADED',
]);

function isAbsence(error: unknown): boolean {
  return error instanceof Fault && absences.has(error.code);
}

/** The hold that an open request has in hot state. */
export function holdOf({ tenantId, apiKeyId, traceId, transactionId }: HeldRequest): HoldRef {
  return { tenantId, apiKeyId, traceId, holder: transactionId };
}

interface HeldRequest {
  readonly tenantId: TenantId;
  readonly apiKeyId: ApiKeyId;
  readonly traceId: TraceId;
  readonly transactionId: TransactionId;
}

function notCharged(found: string, used: NanoUsd): string {
  return `${formatAmount(used)} was used and is not charged: the ledger says ${found}`;
}

function chargedOtherwise(is: NanoUsd, shouldBe: NanoUsd): string {
  return `another process has charged ${formatAmount(is)} where ${formatAmount(shouldBe)} was used`;
}

export function createSettlements({ ledger, hotState, observer, clock }: SettlementsOptions): Settlements {
  const running = new Roster<Promise<unknown>>();
  const settling = new Set<TransactionId>();
  const overdue = new OverdueCharges(clock);

  function track<T>(settlement: Promise<T>, onEnd: () => void = () => undefined): Promise<T> {
    const place = running.enter(settlement);
    const end = () => {
      running.leave(settlement, place);
      onEnd();
    };
    settlement.then(end, end);
    return settlement;
  }

  /** Tries until it is done. What isn't absence but refusal is not tried for ever: it would fail for ever. */
  function untilDone<T>(
    what: string,
    traceId: TraceId,
    attempt: () => Soon<T>,
    longestPauseMs = usualPauseMs,
  ): Soon<T> {
    const again = (error: unknown) => tryAgain(what, traceId, attempt, { error, longestPauseMs });
    try {
      const first = attempt();
      return first instanceof Promise ? first.catch(again) : first;
    } catch (error) {
      return again(error);
    }
  }

  async function tryAgain<T>(
    what: string,
    traceId: TraceId,
    attempt: () => Soon<T>,
    failed: { readonly error: unknown; readonly longestPauseMs: number },
  ): Promise<T> {
    let { error } = failed;
    let refusals = 0;
    let hasTold = false;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, failed.longestPauseMs)) {
      const isGivenUp = !isAbsence(error) && ++refusals >= maxRefusals;
      // Said once: of thousands that wait for a ledger that is away each is tried again and again.
      if (!hasTold || isGivenUp) observer.fault(what, error, traceId);
      hasTold = true;
      if (isGivenUp) throw error;
      await sleep(clock, pauseMs);
      try {
        return await attempt();
      } catch (next) {
        error = next;
      }
    }
  }

  /** The hold goes only after the ledger has the charge: in between, money is held twice, never free. */
  async function commit(close: Closing<Commit>): Promise<Settled> {
    const { traceId } = close;
    const { usage } = close.metered;
    const hold = holdOf(close);
    const tokens = inputTokens(usage) + outputTokens(usage);
    const commits = () => ledger.commitPending(close);
    const written = Promise.resolve(untilDone('committing to the ledger', traceId, commits, commitPauseMs));
    overdue.watch(close.tenantId, written);
    const answer = await written;
    switch (answer.kind) {
      case 'committed': {
        const telling = tellHotState('projecting a commit', traceId, () =>
          hotState.deduct(hold, answer.projection, tokens),
        );
        if (telling instanceof Promise) await telling;
        const { transactionId, amount, balanceAfter } = answer;
        return { kind: 'charged', transactionId, amount, balanceAfter, wasThere: false };
      }
      case 'already_committed': {
        // An attempt whose answer was lost: the row is there, the projection has to be fetched.
        await tellHotState('projecting a commit', traceId, () => deductNewest(hold, tokens));
        const { id, amount, balanceAfter } = answer.transaction;
        if (amount === close.amount)
          return { kind: 'charged', transactionId: id, amount, balanceAfter, wasThere: true };
        observer.fault(
          'committing to the ledger',
          new Error(chargedOtherwise(amount, close.amount)),
          traceId,
        );
        return { kind: 'charged_by_another' };
      }
      case 'already_voided':
      case 'unknown_transaction':
        observer.fault('committing to the ledger', new Error(notCharged(answer.kind, close.amount)), traceId);
        await tellHotState('releasing a hold', traceId, () => hotState.release(hold));
        return { kind: 'not_charged' };
    }
  }

  /**
   * The client's next request finds the hold gone, and with hot state away its answer is not late: what became of
   * it is in the ledger, and until hot state knows, too much is held.
   */
  function tellHotState(what: string, traceId: TraceId, attempt: () => Soon<void>): Soon<void> {
    const telling = untilDone(what, traceId, attempt);
    if (!(telling instanceof Promise)) return;
    const told = track(telling).catch(() => undefined);
    return within(clock, told, hotStateWaitMs).then(() => undefined);
  }

  async function deductNewest(hold: HoldRef, tokens: number): Promise<void> {
    const snapshot = await ledger.snapshot(hold.tenantId);
    if (snapshot.kind === 'snapshot') await hotState.deduct(hold, snapshot.projection, tokens);
  }

  async function voidPending(close: Closing<Void>): Promise<Closed> {
    const voids = () => ledger.voidPending(close);
    const { kind } = await untilDone('voiding in the ledger', close.traceId, voids);
    await tellHotState('releasing a hold', close.traceId, () => hotState.release(holdOf(close)));
    return { wasThere: kind !== 'voided' };
  }

  function only<T>(id: TransactionId, settlement: () => Promise<T>): Promise<T> {
    settling.add(id);
    return track(settlement(), () => settling.delete(id));
  }

  return {
    commit: (close) => only(close.transactionId, () => commit(close)),
    void: (close) => only(close.transactionId, () => voidPending(close)),
    isOverdue: (tenantId) => overdue.has(tenantId),
    isSettling: (transactionId) => settling.has(transactionId),
    idle: async () => {
      while (running.size > 0) await Promise.allSettled(running.all());
    },
    get open() {
      return running.size;
    },
  };
}
