import type { Target } from '../catalog/catalog.ts';
import type { Dialect, DialectRequest } from '../dialects/dialect.ts';
import { type Cancellation, Canceller } from '../domain/cancellation.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Roster } from '../domain/roster.ts';
import { inSpan } from '../observability/tracer.ts';
import { holdOf } from './commit.ts';
import type { ExchangeOptions } from './exchange.ts';
import { finish } from './finish.ts';
import { type Forwarded, type ForwardOptions, forward } from './forward.ts';
import { openHold } from './open-hold.ts';
import { type OpenPendingOptions, type OpenRequest, openPending } from './open-request.ts';
import type { Progress } from './progress.ts';
import { gatewayStops } from './relay.ts';
import type { Client, RequestHeaders } from './request.ts';

export type RunOptions = OpenPendingOptions &
  ForwardOptions &
  ExchangeOptions & {
    readonly cuts: Cuts;
  };

/** How exchanges are ended that the process can't wait for. */
export interface Cuts {
  isCut: boolean;
  /** Of each that runs, what ends it. */
  readonly ends: Roster<() => void>;
}

/** Every exchange is ended so, most of them long after they were over: an error with a stack would cost each of them. */
const isOver = 'the exchange is over';

/** So much before its PENDING row expires, a request that still runs is ended: nobody else settles it before. */
const expiryMarginMs = 60_000;

/** A request that holds its money and has neither a ledger row nor an upstream yet. */
export interface Admitted {
  readonly open: OpenRequest;
  readonly dialect: Dialect;
  readonly headers: RequestHeaders;
  readonly request: DialectRequest;
  readonly targets: readonly [Target, ...Target[]];
  readonly clampedOutput: number | null;
  /** Its trace id is the client's: the ledger may know it already. */
  readonly mayBeRepeated: boolean;
  readonly client: Client;
  readonly progress: Progress;
}

/**
 * From the hold to the one end. The PENDING row is written while upstream is being asked, so that a
 * durable hold costs the client no time; nothing reaches the client before both are there.
 */
export async function run(admitted: Admitted, options: RunOptions): Promise<Refusal | null> {
  const { open, client, progress, mayBeRepeated } = admitted;
  if (client.gone.aborted) {
    await options.hotState.release(holdOf(open));
    return null;
  }
  const opening = inSpan(progress.spans, 'pending', () => openPending(open, options));
  if (mayBeRepeated) {
    // Asking upstream twice for one request would cost us twice: here the ledger has the first word.
    const refused = await opening;
    if (refused !== null) return refused;
  }
  const upstream = askUpstream(admitted, options);
  try {
    const refused = await opening;
    if (refused !== null) return refused;
    progress.opened(open.transactionId);
    options.observer.opened(admitted.request.stream);
    return await finishOpened(admitted, upstream, options);
  } finally {
    // Whatever is left of the exchange is let go, a connection that upstream keeps open included.
    upstream.cancel();
  }
}

async function finishOpened(
  admitted: Admitted,
  upstream: AskedUpstream,
  options: RunOptions,
): Promise<Refusal | null> {
  const { open, dialect, request, client, progress } = admitted;
  try {
    const forwarded = await upstream.answer;
    const { signal } = upstream;
    const hold = openHold(open, options);
    return await finish({ open, hold, dialect, request, client, progress, forwarded, signal }, options);
  } catch (error) {
    // Once something was delivered, the PENDING row stays, for whoever settles what was left open.
    if (!progress.answering) await voidBroken(admitted, options);
    throw error;
  }
}

interface AskedUpstream {
  readonly answer: Promise<Forwarded>;
  /** Aborted when the exchange was cancelled: by the client's leave, or because it took too long. */
  readonly signal: Cancellation;
  /** Ends what is left of it, and its deadline; without effect on what has ended. */
  cancel(): void;
}

/** A client that hangs up ends the exchange with upstream, unless the route says to read on. */
function askUpstream(admitted: Admitted, options: RunOptions): AskedUpstream {
  const { client, targets } = admitted;
  const canceller = new Canceller();
  const { cuts, clock, pendingTtlMs } = options;
  const cancel = () => {
    forgetDeadline();
    cuts.ends.leave(cancel, place);
    canceller.abort(cuts.isCut ? gatewayStops : isOver);
  };
  const place = cuts.ends.enter(cancel);
  const forgetDeadline = clock.after(Math.max(1, pendingTtlMs - expiryMarginMs), cancel);
  if (targets[0].route.whenClientGone === 'cancel') {
    if (client.gone.aborted) cancel();
    client.gone.addEventListener('abort', cancel, { once: true });
  }
  if (cuts.isCut) cancel();
  const answer = forward({ ...admitted, spans: admitted.progress.spans, signal: canceller }, options);
  // Awaited later or not at all: a failure must not count as unhandled in between.
  answer.catch(() => undefined);
  return { answer, cancel, signal: canceller };
}

async function voidBroken({ open, progress }: Admitted, { settlements }: RunOptions): Promise<void> {
  const { tenantId, apiKeyId, traceId, transactionId } = open;
  const description = 'the gateway failed to serve it';
  const record = progress.record('gateway_died', null, description);
  await settlements.void({ tenantId, apiKeyId, traceId, transactionId, description, record });
}
