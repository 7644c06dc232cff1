import type { StreamFollower } from '../dialects/dialect.ts';
import { type Cancellation, unlessCancelled } from '../domain/cancellation.ts';
import { sleep, type Timers } from '../domain/clock.ts';
import type { Outcome } from '../domain/transaction.ts';
import { type UpstreamBody, UpstreamBodyError, type UpstreamResponse } from '../upstream/upstream.ts';
import { type EndedHere, Passage, type PassageOptions } from './passage.ts';
import type { Client } from './request.ts';
import type { StreamCover } from './stream-cover.ts';

export interface Relaying {
  readonly response: UpstreamResponse;
  readonly follower: StreamFollower;
  readonly client: Client;
  readonly cover: StreamCover;
  /** Aborted when the exchange is cancelled: a client that doesn't read is then not waited for. */
  readonly signal: Cancellation;
  readonly clock: Timers;
  readonly mayDeliver: PassageOptions['mayDeliver'];
  /** Told each time that the client was sent something, whether it reads it or not. */
  readonly onSent?: () => void;
  /** Sends the head; called once, right before the first byte. */
  start(): void;
}

/** How the stream ended, with the bytes that wait for the commit. */
export interface Relayed {
  readonly outcome: Outcome;
  /** Whether upstream ran to its own end: only then is its usage the whole usage. */
  readonly complete: boolean;
  readonly heldBack: readonly Buffer[];
  /** Whether the client was sent anything. */
  readonly started: boolean;
  /** Where the rest must not be delivered. */
  readonly ended: EndedHere | null;
  /** What broke on our side; null where upstream or the client ended it. */
  readonly fault: unknown;
}

/** Why an exchange is aborted where this process has to end. */
export const gatewayStops = 'the gateway stops';

/** Upstream closes its stream soon after the closing event; one that doesn't is not waited for. */
const closingGraceMs = 1_000;

/** Nothing that an honest provider sends behind its closing event is larger. */
const maxTrailingBytes = 64 * 1024;

/** Passes a stream on as it arrives, and holds back what would make the client take it as complete. */
export async function relayStream(relaying: Relaying): Promise<Relayed> {
  const { response, follower, cover, client, signal, clock, mayDeliver, onSent, start } = relaying;
  let started = false;
  const send = (bytes: readonly Buffer[]) => {
    if (bytes.length === 0 || client.gone.aborted) return null;
    if (!started) start();
    started = true;
    const written = client.write(
      bytes.length === 1 && bytes[0] !== undefined ? bytes[0] : Buffer.concat(bytes),
    );
    onSent?.();
    // Not reading on is what slows upstream down to the client's pace.
    return written ? null : unlessCancelled(client.drained(), signal);
  };
  const passage = new Passage({ follower, cover, signal, mayDeliver, send });
  const body = untilClosed(response.body, follower, clock);
  let passing = null as ReturnType<Passage['pass']>;
  const passAtOnce = (bytes: Buffer) => {
    passing = passage.pass(bytes);
    return passing === null && !follower.closed;
  };
  try {
    while (await body.takeSome(passAtOnce)) {
      const ended = await passing;
      if (ended === null) continue;
      return {
        outcome: client.gone.aborted ? 'client_gone' : ended.outcome,
        complete: false,
        heldBack: [],
        started,
        ended,
        fault: null,
      };
    }
    const heldBack = follower.end();
    const ranOut = isCutShort(follower);
    const outcome = ranOut ? 'upstream_cut' : endOf(follower);
    return {
      outcome: client.gone.aborted ? 'client_gone' : outcome,
      complete: !ranOut,
      heldBack: ranOut ? [] : heldBack,
      started,
      ended: null,
      fault: null,
    };
  } catch (error) {
    const fault = error instanceof UpstreamBodyError ? null : error;
    return {
      outcome: outcomeOf(error, client, signal),
      complete: false,
      heldBack: [],
      started,
      ended: null,
      fault,
    };
  } finally {
    body.letGo();
  }
}

/**
 * A body that ended by itself, in the middle. Some providers send no closing event and some no finish
 * reason, but none leaves out both and says nothing of an error: there the connection was closed, which
 * HTTP can't always tell.
 */
function isCutShort(follower: StreamFollower): boolean {
  const { error, finishReason, usageIsFinal } = follower.reading();
  return !follower.closed && finishReason === null && error === null && !usageIsFinal;
}

function endOf(follower: StreamFollower): Outcome {
  return follower.reading().error === null ? 'completed' : 'upstream_error';
}

function outcomeOf(error: unknown, client: Client, signal: Cancellation): Outcome {
  if (client.gone.aborted) return 'client_gone';
  if (!(error instanceof UpstreamBodyError)) return 'upstream_error';
  if (error.reason === 'aborted' && signal.reason === gatewayStops) return 'gateway_died';
  // Cancelled though the client is there: it took longer than a request may.
  return error.reason === 'cut' ? 'upstream_cut' : 'timeout';
}

interface Body {
  /** Hands over one piece or several; resolves to false where there are no more, and otherwise to true. */
  takeSome(take: (bytes: Buffer) => boolean): Promise<boolean>;
  letGo(): void;
}

const over = { done: true, value: undefined } as const;

/** The body, but for an upstream that keeps it open, or goes on sending, after its closing event. */
function untilClosed(body: UpstreamBody, follower: StreamFollower, clock: Timers): Body {
  const iterator = body[Symbol.asyncIterator]();
  let closing: Promise<typeof over> | null = null;
  let trailingBytes = 0;
  const takeTrailing = async (take: (bytes: Buffer) => boolean) => {
    closing ??= sleep(clock, closingGraceMs).then(() => over);
    const next = await beforeGrace(iterator.next(), closing);
    if (next.done === true) return false;
    trailingBytes += next.value.length;
    if (trailingBytes > maxTrailingBytes) return false;
    take(next.value);
    return true;
  };
  const takeNext = async (take: (bytes: Buffer) => boolean) => {
    const next = await iterator.next();
    if (next.done === true) return false;
    take(next.value);
    return true;
  };
  return {
    takeSome: (take) => {
      if (follower.closed) return takeTrailing(take);
      // Each event comes this way, and a promise for each is what most of its way would cost.
      return body.takeEach === undefined ? takeNext(take) : body.takeEach(take);
    },
    // Not awaited: a body that is stuck may never confirm that it was let go.
    letGo: () => void iterator.return?.().catch(() => undefined),
  };
}

async function beforeGrace<T>(next: Promise<T>, closing: Promise<typeof over>): Promise<T | typeof over> {
  try {
    return await Promise.race([next, closing]);
  } catch {
    // The answer was complete before the connection broke.
    return over;
  }
}

/** Whether a body is what it would be metered as. */
export function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString());
    return true;
  } catch {
    return false;
  }
}
