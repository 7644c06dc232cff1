import type { Dialect, DialectRequest } from '../dialects/dialect.ts';
import type { ByteBudget } from '../domain/byte-budget.ts';
import type { Cancellation } from '../domain/cancellation.ts';
import type { Clock, Timers } from '../domain/clock.ts';
import type { Lease } from '../ledger/instances.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Settlements } from './commit.ts';
import type { Forwarded } from './forward.ts';
import type { GrowingHold } from './growing-hold.ts';
import type { HiddenOutput } from './hidden-output.ts';
import type { MeterOptions } from './meter.ts';
import type { OpenRequest } from './open-request.ts';
import type { OtherPricesOptions } from './other-prices.ts';
import type { Progress } from './progress.ts';
import type { RememberedInput } from './remembered-input.ts';
import type { Client } from './request.ts';

export interface ExchangeOptions extends MeterOptions, OtherPricesOptions {
  readonly clock: Clock & Timers;
  readonly rememberedInput: RememberedInput;
  readonly hiddenOutput: HiddenOutput;
  readonly settlements: Settlements;
  readonly checkpoints: Checkpoints;
  readonly lease: Lease;
  /** The largest answer, not a stream, that is read before it is passed on. */
  readonly maxAnswerBytes: number;
  /** Of all answers that are read as a whole. */
  readonly answers: ByteBudget;
  /** How long a finished answer waits for a ledger that is away. */
  readonly commitWaitMs: number;
}

/** An open request whose upstream has answered, or has not. */
export interface Exchange {
  readonly open: OpenRequest;
  readonly hold: GrowingHold;
  readonly dialect: Dialect;
  readonly request: DialectRequest;
  readonly client: Client;
  readonly progress: Progress;
  readonly forwarded: Forwarded;
  /** Aborted when the exchange was cancelled. */
  readonly signal: Cancellation;
}
