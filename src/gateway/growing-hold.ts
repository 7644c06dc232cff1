import { type Clock, sleep, type Timers, within } from '../domain/clock.ts';
import { type Refusal, refusal, refusalOf, unreachable } from '../domain/errors.ts';
import { type NanoUsd, nano } from '../domain/money.ts';
import type { Extended, NotExtended, Settled } from '../hot-state/hot-state.ts';
import type { HoldGrowth } from './hold-size.ts';

export interface GrowingHoldOptions {
  /** As it was admitted. */
  readonly heldAmount: NanoUsd;
  readonly growth: HoldGrowth;
  /** Enlarges the hold to this whole amount. */
  readonly extend: (holdAmount: NanoUsd) => Promise<Extended | NotExtended | Settled | Refusal>;
  /** Shows hot state the ledger's newest row; whether it did just now, so that asking again is of use. */
  readonly refresh: () => Promise<boolean>;
  readonly onFault: (error: unknown) => void;
  readonly clock: Clock & Timers;
}

/** So long a stream that can't go on waits for hot state that is away or slow, and no longer. */
const coverWithinMs = 3_000;
/** Between two questions of one stream, where the first did not enlarge the hold. */
const retryPauseMs = 100;

const exhausted: Readonly<Record<NotExtended['limit'], Refusal>> = {
  balance: refusal(
    'QUOTA_BALANCE_EXCEEDED',
    'The balance does not cover any more of this answer. What was delivered until then was charged: top up the balance.',
  ),
  api_key_amount: refusal(
    'API_KEY_QUOTA_EXCEEDED',
    'This API key may not spend any more on this answer. What was delivered until then was charged.',
  ),
};
const away = refusal(
  'HOT_STATE_UNAVAILABLE',
  'The rest of this answer could not be held money for in time. What was delivered until then was charged; try again.',
);
/** The newest row can't be read, and without it no denial is said. */
const unsaid = refusal('LEDGER_UNAVAILABLE', away.message);
const closed = refusal(
  'HOT_STATE_UNAVAILABLE',
  'This request was closed while it was being answered. What was charged for it is in the ledger.',
);

function isExhausted(asked: Refusal | null): boolean {
  return asked === exhausted.balance || asked === exhausted.api_key_amount;
}

function isAbsence(asked: Refusal): boolean {
  return asked !== closed && (asked.code === 'HOT_STATE_UNAVAILABLE' || asked.code === 'LEDGER_UNAVAILABLE');
}

/**
 * The hold of a request that runs. `follow` enlarges it ahead of what is metered, without being waited for;
 * `cover` is asked before something is delivered, and waits only where that would go beyond the hold, or,
 * where the tenant may overdraw, more than a step beyond.
 */
export class GrowingHold {
  readonly #options: GrowingHoldOptions;
  #heldAmount: NanoUsd;
  /** The question under way, of which there is one at most; why it did not enlarge the hold. */
  #asking: Promise<Refusal | null> | null = null;
  #nextAskMs = 0;
  #hasFailed = false;

  constructor(options: GrowingHoldOptions) {
    this.#options = options;
    this.#heldAmount = options.heldAmount;
  }

  get mayOverdraw(): boolean {
    return this.#options.growth.mayOverdraw;
  }

  get stepAmount(): NanoUsd {
    return this.#options.growth.stepAmount;
  }

  /** What may have been delivered at most. */
  get coveredAmount(): NanoUsd {
    return nano(this.#heldAmount + this.#allowance);
  }

  /**
   * Up to here the hold is far enough ahead. Beyond, a text is counted: nearly always it has a quarter of the tokens that
   * its bytes allow for, so that nearer marks would only have it counted more often.
   */
  get comfortableAmount(): NanoUsd {
    const { worstAmount, stepAmount } = this.#options.growth;
    return worstAmount > this.#heldAmount ? nano(this.#heldAmount - stepAmount / 2n) : this.#heldAmount;
  }

  /** @param expected what the request would cost if it ended here */
  follow(expected: NanoUsd): void {
    const { growth, clock } = this.#options;
    // A quarter of a step early: what is near the mark would be metered at every event otherwise.
    const ahead = expected + growth.stepAmount + growth.stepAmount / 4n;
    const wanted = least(ahead, most(growth.worstAmount, expected));
    if (wanted <= this.#heldAmount || this.#asking !== null || clock.monotonic() < this.#nextAskMs) return;
    void this.#ask(expected);
  }

  /**
   * Null where as much is covered; otherwise why it never will be.
   * @param needed what would be charged if it were delivered and then broken off
   */
  cover(needed: NanoUsd): Promise<Refusal | null> | null {
    const isCovered = needed <= this.coveredAmount || this.#options.growth.isUnbounded;
    return isCovered ? null : this.#waitFor(needed);
  }

  get #allowance(): bigint {
    return this.mayOverdraw ? this.stepAmount : 0n;
  }

  async #waitFor(needed: NanoUsd): Promise<Refusal | null> {
    const { clock } = this.#options;
    const untilMs = clock.monotonic() + coverWithinMs;
    // What was asked before was asked for less: its denial says nothing of money that came since.
    if (this.#asking !== null) await within(clock, this.#asking, coverWithinMs);
    for (;;) {
      if (needed <= this.coveredAmount) return null;
      const leftMs = untilMs - clock.monotonic();
      if (leftMs <= 0) return away;
      const asked = await within(clock, this.#ask(needed), leftMs);
      if (needed <= this.coveredAmount) return null;
      if (asked !== null && !isAbsence(asked)) return asked;
      if (clock.monotonic() + retryPauseMs > untilMs) return asked ?? away;
      await sleep(clock, retryPauseMs);
    }
  }

  #ask(needed: NanoUsd): Promise<Refusal | null> {
    if (this.#asking !== null) return this.#asking;
    const asking = this.#enlarge(needed).finally(() => {
      this.#asking = null;
    });
    this.#asking = asking;
    return asking;
  }

  /** Never rejects: nobody waits for what `follow` began. */
  async #enlarge(needed: NanoUsd): Promise<Refusal | null> {
    const { refresh, clock, onFault } = this.#options;
    try {
      let denied = await this.#extendFor(needed);
      if (isExhausted(denied) && (await refresh())) denied = await this.#extendFor(needed);
      if (denied !== null) this.#nextAskMs = clock.monotonic() + retryPauseMs;
      return denied;
    } catch (error) {
      // Said once a stream: it is asked again ten times a second.
      if (!this.#hasFailed) onFault(error);
      this.#hasFailed = true;
      this.#nextAskMs = clock.monotonic() + retryPauseMs;
      return refusalOf(error, away.message).code === 'LEDGER_UNAVAILABLE' ? unsaid : away;
    }
  }

  /** To two steps ahead; where there is less, to whatever there is, if that is of use. */
  async #extendFor(needed: NanoUsd): Promise<Refusal | null> {
    const target = this.#targetFor(needed);
    const first = await this.#extendTo(target);
    if (first.kind !== 'denied') return this.#refusalOf(first);
    const rest = least(target, nano(this.#heldAmount + first.available));
    if (rest <= this.#heldAmount || rest + this.#allowance < needed) return exhausted[first.limit];
    const second = await this.#extendTo(rest);
    return second.kind === 'denied' ? exhausted[second.limit] : this.#refusalOf(second);
  }

  #targetFor(needed: NanoUsd): NanoUsd {
    const { worstAmount, stepAmount } = this.#options.growth;
    if (needed > worstAmount) return nano(needed + stepAmount);
    return least(nano(needed + 2n * stepAmount), worstAmount);
  }

  async #extendTo(holdAmount: NanoUsd): Promise<Extended | NotExtended | Settled | Refusal> {
    const answer = await this.#options.extend(holdAmount);
    if (answer.kind === 'extended') this.#heldAmount = most(this.#heldAmount, holdAmount);
    return answer;
  }

  #refusalOf(answer: Extended | Settled | Refusal): Refusal | null {
    switch (answer.kind) {
      case 'extended':
        return null;
      case 'settled':
        return closed;
      case 'refused':
        return answer;
      default:
        return unreachable(answer);
    }
  }
}

function least(a: bigint, b: bigint): NanoUsd {
  return nano(a < b ? a : b);
}

function most(a: bigint, b: bigint): NanoUsd {
  return nano(a > b ? a : b);
}
