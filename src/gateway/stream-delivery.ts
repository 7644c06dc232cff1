import type { StreamFollower, StreamReading } from '../dialects/dialect.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Checkpoint } from '../ledger/ledger.ts';
import type { Settled } from './commit.ts';
import { DeliveredCounter } from './delivered-counter.ts';
import type { Exchange, ExchangeOptions } from './exchange.ts';
import { closingOf, price } from './settle.ts';
import type { StreamCover } from './stream-cover.ts';
import { closedByAnother, lostTouch } from './upstream-refusals.ts';

/** So long a stream waits for the ledger to take a heartbeat, once the last one is too old. */
export const renewWithinMs = 3_000;

export interface StreamDeliveryOptions {
  readonly exchange: Exchange;
  readonly follower: StreamFollower;
  readonly cover: StreamCover;
}

/**
 * A stream that is being delivered: as long as this process may, and with a checkpoint in the ledger of what it would
 * be charged if the process died.
 */
export class StreamDelivery {
  readonly #given: StreamDeliveryOptions;
  readonly #options: ExchangeOptions;
  readonly #counter: DeliveredCounter;
  /** What was taken last waits to be covered, and isn't delivered yet. */
  #isDeciding = false;
  /** What was taken before that. */
  #covered: StreamReading | null = null;
  /** It may be delivered; a client that doesn't read has not been sent it yet. */
  #isDecided = false;
  #isClosed = false;
  #isOver = false;
  #unfollow: () => void = () => {};

  constructor(given: StreamDeliveryOptions, options: ExchangeOptions) {
    this.#given = given;
    this.#options = options;
    this.#counter = new DeliveredCounter(options.tokenizer);
  }

  readonly cover: StreamCover = {
    isCertain: (bytes, followed) => {
      this.#goOn();
      return this.#given.cover.isCertain(bytes, followed);
    },
    took: (bytes, followed) => this.#given.cover.took(bytes, followed),
    decide: (...of) => this.#decide(...of),
  };

  /** Null where it may; a refusal where the process can't be sure any more that nobody else has closed it. */
  readonly mayDeliver = (): Promise<Refusal | null> | null => {
    const { owner } = this.#given.exchange.open;
    if (this.#isClosed) return Promise.resolve(closedByAnother);
    return this.#options.lease.isValid(owner) ? null : this.#renewed();
  };

  readonly onSent = (): void => this.#goOn();

  /** The first byte was sent. */
  begin(): void {
    const { traceId } = this.#given.exchange.open;
    this.#unfollow = this.#options.checkpoints.follow({
      traceId,
      closing: () => this.#closing(),
      wasClosed: () => {
        this.#isClosed = true;
      },
    });
  }

  /** Everything is delivered but its closing event, and what it costs is still to be found and covered. */
  isOver(): void {
    this.#goOn();
    this.#isOver = true;
  }

  /** No checkpoint any more: it is being closed. */
  end(): void {
    this.#unfollow();
  }

  /** The client was sent what was decided, and what comes next is looked at only then. */
  #goOn(): void {
    if (!this.#isDecided) return;
    this.#covered = null;
    this.#isDecided = false;
    this.#isDeciding = false;
  }

  async #renewed(): Promise<Refusal | null> {
    const { owner } = this.#given.exchange.open;
    return (await this.#options.lease.renewed(owner, renewWithinMs)) ? null : lostTouch;
  }

  #decide(...of: Parameters<StreamCover['decide']>): Promise<Refusal | null> | null {
    const decision = this.#given.cover.decide(...of);
    if (decision === null) return null;
    const [, , delivered] = of;
    this.#covered = delivered;
    this.#isDeciding = true;
    return decision.then((refused) => {
      // A refused event is never delivered, and what comes next closes the stream.
      this.#isDecided = refused === null;
      return refused;
    });
  }

  async #closing(): Promise<Checkpoint | null> {
    const { exchange, follower } = this.#given;
    const read = this.#isDeciding ? this.#covered : follower.reading();
    // Comments and the like: broken off here it would be a void.
    if (read === null || (!read.begun && read.usage === null)) return null;
    // A final usage may tell of reasoning that was never seen, and that isn't covered yet.
    const final = this.#isOver ? { usage: null, otherModels: [] } : {};
    const reading = { ...read, ...final, error: 'the gateway died' };
    const options = { ...this.#options, tokenizer: this.#counter };
    const priced = await price(exchange, { outcome: 'gateway_died', reading, complete: false }, options);
    const { tenantId, traceId, transactionId, apiKeyId: _, ...closing } = closingOf(exchange, priced);
    return { tenantId, traceId, transactionId, closing };
  }
}

/** Why a stream must not be told as complete after its commit; null where it may be. */
export function undelivered(
  settled: Settled | null,
  { open }: Exchange,
  { lease }: Pick<ExchangeOptions, 'lease'>,
): Refusal | null {
  // The ledger is away: the commit is tried until it is in, unless somebody else may close it first.
  if (settled === null) return lease.isValid(open.owner) ? null : lostTouch;
  return settled.kind === 'charged' ? null : closedByAnother;
}
