import type { StreamFollower, StreamReading } from '../dialects/dialect.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Outcome } from '../domain/transaction.ts';
import type { StreamCover } from './stream-cover.ts';
import { wholeEvents } from './whole-events.ts';

export interface PassageOptions {
  readonly follower: StreamFollower;
  readonly cover: StreamCover;
  /** Resolves when the exchange is cancelled. */
  readonly cancelled: Promise<void>;
  /** Null while anything may be delivered at all, as it nearly always may; otherwise to be waited for. */
  readonly mayDeliver: () => Promise<Refusal | null> | null;
  send(bytes: readonly Buffer[]): Promise<void>;
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
export class Passage {
  readonly #options: PassageOptions;
  /** Of all that was taken; null where something was taken since it was read. */
  #reading: StreamReading | null = null;
  #hasTaken = false;

  constructor(options: PassageOptions) {
    this.#options = options;
  }

  /** @returns null when all of it was sent */
  async pass(chunk: Buffer): Promise<EndedHere | null> {
    const { follower, cover, mayDeliver, send } = this.#options;
    const waiting = mayDeliver();
    const refused = waiting === null ? null : await waiting;
    if (refused !== null) return { delivered: this.#delivered(), refused, outcome: 'gateway_died' };
    const batch: Buffer[] = [];
    for (const bytes of wholeEvents(chunk)) {
      if (cover.passes(bytes)) {
        this.#reading = null;
        batch.push(...follower.push(bytes));
      } else {
        // Read now: once the event is taken, no reading tells what there was before.
        const delivered = this.#delivered();
        const passed = follower.push(bytes);
        this.#reading = follower.reading();
        const ended = await this.#decide(delivered, batch);
        if (ended !== null) return ended;
        batch.push(...passed);
      }
      this.#hasTaken = true;
    }
    await send(batch);
    return null;
  }

  /** Of all that was taken so far; null where that is nothing. */
  #delivered(): StreamReading | null {
    return this.#hasTaken ? (this.#reading ?? this.#options.follower.reading()) : null;
  }

  /** What is covered doesn't wait for what is not. */
  async #decide(delivered: StreamReading | null, batch: Buffer[]): Promise<EndedHere | null> {
    const { follower, cover, cancelled, send } = this.#options;
    const decision = cover.look(this.#reading ?? follower.reading());
    if (decision === null) return null;
    await send(batch.splice(0));
    const refused = await Promise.race([decision, cancelled.then((): undefined => undefined)]);
    if (refused === null) return null;
    const outcome = refused === undefined ? 'timeout' : 'balance_exhausted';
    return { delivered, refused: refused ?? null, outcome };
  }
}
