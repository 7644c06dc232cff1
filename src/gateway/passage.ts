import type { StreamFollower, StreamReading } from '../dialects/dialect.ts';
import { type Cancellation, unlessCancelled } from '../domain/cancellation.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Outcome } from '../domain/transaction.ts';
import type { Followed, StreamCover } from './stream-cover.ts';
import { wholeEvents } from './whole-events.ts';

export interface PassageOptions {
  readonly follower: StreamFollower;
  readonly cover: StreamCover;
  /** Aborted when the exchange is cancelled. */
  readonly signal: Cancellation;
  /** Null while anything may be delivered at all, as it nearly always may; otherwise to be waited for. */
  readonly mayDeliver: () => Promise<Refusal | null> | null;
  /** Null where more may be sent at once; otherwise to be waited for. */
  send(bytes: readonly Buffer[]): Promise<void> | null;
}

/** A stream that has to end though upstream has more. */
export interface EndedHere {
  /** What was taken before the event that isn't covered; null where that was nothing. */
  readonly delivered: StreamReading | null;
  /** Why; null where the exchange was cancelled while that was being decided. */
  readonly refused: Refusal | null;
  readonly outcome: Extract<Outcome, 'balance_exhausted' | 'timeout' | 'gateway_died'>;
}

/** Passes a stream on event by event, and none that isn't covered. */
export class Passage implements Followed {
  readonly #options: PassageOptions;
  /** Of all that was taken; null where something was taken since it was read. */
  #reading: StreamReading | null = null;
  #hasTaken = false;

  constructor(options: PassageOptions) {
    this.#options = options;
  }

  get generatedAtMost(): number {
    return this.#options.follower.generatedAtMost;
  }

  reading(): StreamReading {
    this.#reading ??= this.#options.follower.reading();
    return this.#reading;
  }

  /** @returns null when all of it was sent, without a promise where there was nothing to wait for */
  pass(chunk: Buffer): Promise<EndedHere | null> | null {
    const { cover, mayDeliver, send } = this.#options;
    const waiting = mayDeliver();
    if (waiting !== null || !cover.isCertain(chunk, this)) return this.#passByEvent(chunk, waiting);
    const passed = this.#take(chunk);
    cover.took(chunk, this);
    const sending = send(passed);
    return sending === null ? null : sending.then(() => null);
  }

  async #passByEvent(chunk: Buffer, waiting: Promise<Refusal | null> | null): Promise<EndedHere | null> {
    const { cover, send } = this.#options;
    const refused = waiting === null ? null : await waiting;
    if (refused !== null) return { delivered: this.#delivered(), refused, outcome: 'gateway_died' };
    const batch: Buffer[] = [];
    for (const bytes of wholeEvents(chunk)) {
      const isCertain = cover.isCertain(bytes, this);
      // Read now: once the event is taken, no reading tells what there was before.
      const delivered = isCertain ? null : this.#delivered();
      const passed = this.#take(bytes);
      if (isCertain) cover.took(bytes, this);
      else {
        const decision = cover.decide(bytes, this, delivered);
        const ended = decision === null ? null : await this.#decided(decision, delivered, batch);
        if (ended !== null) return ended;
      }
      batch.push(...passed);
    }
    await send(batch);
    return null;
  }

  #take(bytes: Buffer): readonly Buffer[] {
    this.#reading = null;
    const passed = this.#options.follower.push(bytes);
    this.#hasTaken = true;
    return passed;
  }

  /** Of all that was taken so far; null where that is nothing. */
  #delivered(): StreamReading | null {
    return this.#hasTaken ? this.reading() : null;
  }

  /** What is covered doesn't wait for what is not. */
  async #decided(
    decision: Promise<Refusal | null>,
    delivered: StreamReading | null,
    batch: Buffer[],
  ): Promise<EndedHere | null> {
    const { signal, send } = this.#options;
    await send(batch.splice(0));
    const refused = await unlessCancelled(decision, signal);
    if (refused === null) return null;
    const outcome = refused === undefined ? 'timeout' : 'balance_exhausted';
    return { delivered, refused: refused ?? null, outcome };
  }
}
