import { type Clock, sleep, type Timers } from '../domain/clock.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { TenantId, TransactionId } from '../domain/ids.ts';
import { type HotState, type SessionLock, sessionLockMs } from '../hot-state/hot-state.ts';
import type { Observer } from '../observability/observer.ts';
import type { Client, RequestHeaders } from './request.ts';

export interface SessionOptions {
  readonly hotState: HotState;
  readonly clock: Clock & Timers;
  readonly observer: Observer;
  /** How long a request waits for the one before it. */
  readonly sessionWaitMs: number;
}

export interface SessionRequest {
  readonly tenantId: TenantId;
  readonly transactionId: TransactionId;
  readonly headers: RequestHeaders;
  readonly client: Client;
}

const pauseMs = 50;
const pattern = /^[\x20-\x7e]{1,255}$/;

/** Requests that carry one `x-session-id` run one at a time within their tenant. Others just run. */
export function inSession(
  request: SessionRequest,
  options: SessionOptions,
  run: () => Promise<Refusal | null>,
): Promise<Refusal | null> {
  const sessionId = request.headers['x-session-id'];
  return sessionId === undefined ? run() : oneAtATime(sessionId, request, options, run);
}

async function oneAtATime(
  sessionId: string | string[],
  { tenantId, transactionId: holder, client }: SessionRequest,
  options: SessionOptions,
  run: () => Promise<Refusal | null>,
): Promise<Refusal | null> {
  if (typeof sessionId !== 'string' || !pattern.test(sessionId)) {
    return refusal('REQUEST_INVALID', '`x-session-id` must be 1 to 255 printable ASCII characters.', {
      param: 'x-session-id',
    });
  }
  const lock = { tenantId, sessionId, holder };
  if (!(await waitFor(lock, client, options))) {
    return refusal(
      'REQUEST_IN_PROGRESS',
      'Another request of this session is still being answered. Nothing was charged: send this one when it has ended.',
    );
  }
  const forget = renewing(lock, options);
  try {
    return await run();
  } finally {
    forget();
    // What can't be given back ends by itself.
    await options.hotState
      .unlockSession(lock)
      .catch((error) => options.observer.fault('giving a session back', error, null));
  }
}

/** One that is lost with hot state is taken again, unless another request has it by then. */
function renewing(lock: SessionLock, { hotState, clock }: SessionOptions): () => void {
  let forget = () => {};
  const next = () => {
    forget = clock.after(sessionLockMs / 3, () => {
      hotState.lockSession(lock).catch(() => undefined);
      next();
    });
  };
  next();
  return () => forget();
}

async function waitFor(
  lock: SessionLock,
  client: Client,
  { hotState, clock, sessionWaitMs }: SessionOptions,
): Promise<boolean> {
  const untilMs = clock.monotonic() + sessionWaitMs;
  for (;;) {
    if (await hotState.lockSession(lock)) return true;
    if (client.gone.aborted || clock.monotonic() + pauseMs > untilMs) return false;
    await sleep(clock, pauseMs);
  }
}
