import { type Clock, sleep, type Timers } from '../domain/clock.ts';
import type { TraceId } from '../domain/ids.ts';
import type { NanoUsd } from '../domain/money.ts';
import type { Checkpoint, Ledger } from '../ledger/ledger.ts';
import type { Observer } from '../observability/observer.ts';

/** A stream of which something was delivered, and that goes on. */
export interface FollowedStream {
  readonly traceId: TraceId;
  /** What it is to be charged if it breaks off now; null while that is nothing. */
  closing(): Promise<Checkpoint | null>;
  /** Told that somebody else has closed it. */
  wasClosed(): void;
}

export interface Checkpoints {
  /** From the first byte on; what it returns ends it, before the stream is closed. */
  follow(stream: FollowedStream): () => void;
}

export interface CheckpointsOptions {
  readonly ledger: Pick<Ledger, 'checkpoint'>;
  readonly observer: Observer;
  readonly clock: Clock & Timers;
}

/** All that are due are looked at together, so that they share a statement. */
const lookEveryMs = 500;
/** So many are priced in one go: the events of others may pass before the next ones are. */
const pricedAtOnce = 16;
const pauseMs = 1;
/** So many share a statement at the most: a price doesn't wait for those of thousands. */
const writtenAtOnce = 512;
/** A stream that is over before needs none. */
const firstAfterMs = 1_000;
/** With the time until the next look, and that of writing it, it is 5 s. */
const againAfterMs = 4_000;

interface Followed {
  readonly stream: FollowedStream;
  dueAtMs: number;
  /** By the checkpoint that stands; null where there is none. */
  chargedAmount: NanoUsd | null;
  isBusy: boolean;
  hasFailed: boolean;
}

/** Writes down what streams would be charged, so that a process that dies takes a few seconds of each with it at most. */
export function createCheckpoints(options: CheckpointsOptions): Checkpoints {
  const { clock } = options;
  const all = new Set<Followed>();
  let isLooking = false;

  const lookLater = () => {
    if (isLooking || all.size === 0) return;
    isLooking = true;
    clock.after(lookEveryMs, () => void look());
  };
  const look = async () => {
    const nowMs = clock.monotonic();
    const due = [...all].filter(({ isBusy, dueAtMs }) => !isBusy && dueAtMs <= nowMs);
    let priced = Promise.withResolvers<void>();
    for (const [place, one] of due.entries()) {
      if (place > 0 && place % writtenAtOnce === 0) {
        priced.resolve();
        priced = Promise.withResolvers();
      }
      if (place > 0 && place % pricedAtOnce === 0) await sleep(clock, pauseMs);
      if (all.has(one)) void write(one, priced.promise, all, options);
    }
    priced.resolve();
    isLooking = false;
    lookLater();
  };

  return {
    follow: (stream) => {
      const followed: Followed = {
        stream,
        chargedAmount: null,
        dueAtMs: clock.monotonic() + firstAfterMs,
        isBusy: false,
        hasFailed: false,
      };
      all.add(followed);
      lookLater();
      return () => all.delete(followed);
    },
  };
}

const unchanged = { kind: 'checkpointed' } as const;

/**
 * One that fails is written with what has come until the next look.
 * @param othersArePriced what is priced until then shares its statement
 */
async function write(
  one: Followed,
  othersArePriced: Promise<void>,
  all: Set<Followed>,
  { ledger, observer, clock }: CheckpointsOptions,
): Promise<void> {
  const { stream } = one;
  const begunAtMs = clock.monotonic();
  one.isBusy = true;
  try {
    const checkpoint = await stream.closing();
    await othersArePriced;
    // What is being closed now needs none any more.
    if (checkpoint === null || !all.has(one)) return;
    const { amount } = checkpoint.closing;
    // A stream that rests has nothing to write; and one whose newest event waits to be covered may have had less.
    const isNew = one.chargedAmount === null || amount > one.chargedAmount;
    const { kind } = isNew ? await ledger.checkpoint(checkpoint) : unchanged;
    one.chargedAmount = isNew ? amount : one.chargedAmount;
    one.dueAtMs = begunAtMs + againAfterMs;
    if (kind === 'not_open' && all.delete(one)) stream.wasClosed();
  } catch (error) {
    // Said once a stream: a ledger that is away is told of by others.
    if (!one.hasFailed) observer.fault('writing a checkpoint', error, stream.traceId);
    one.hasFailed = true;
  } finally {
    one.isBusy = false;
  }
}
