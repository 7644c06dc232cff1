import type { StreamFollower } from '../dialects/dialect.ts';
import type { Outcome } from '../domain/transaction.ts';
import { UpstreamBodyError, type UpstreamResponse } from '../upstream/upstream.ts';
import type { Client } from './request.ts';

export interface Relaying {
  readonly response: UpstreamResponse;
  readonly follower: StreamFollower;
  readonly client: Client;
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
}

/** Upstream closes its stream soon after the closing event; one that doesn't is not waited for. */
const closingGraceMs = 1_000;

/** Passes a stream on as it arrives, and holds back what would make the client take it as complete. */
export async function relayStream({ response, follower, client, start }: Relaying): Promise<Relayed> {
  let started = false;
  const send = async (bytes: readonly Buffer[]) => {
    if (bytes.length === 0 || client.gone.aborted) return;
    if (!started) start();
    started = true;
    const written = client.write(
      bytes.length === 1 && bytes[0] !== undefined ? bytes[0] : Buffer.concat(bytes),
    );
    // Not reading on is what slows upstream down to the client's pace.
    if (!written) await client.drained();
  };
  try {
    for await (const chunk of untilClosed(response.body, follower)) await send(follower.push(chunk));
    const heldBack = follower.end();
    const outcome = follower.reading().error === null ? 'completed' : 'upstream_error';
    return { outcome: client.gone.aborted ? 'client_gone' : outcome, complete: true, heldBack, started };
  } catch (error) {
    return { outcome: outcomeOf(error, client), complete: false, heldBack: [], started };
  }
}

function outcomeOf(error: unknown, client: Client): Outcome {
  if (client.gone.aborted) return 'client_gone';
  if (!(error instanceof UpstreamBodyError)) return 'upstream_error';
  return error.reason === 'timeout' ? 'timeout' : 'upstream_cut';
}

/** The body, but for an upstream that keeps it open after its closing event. */
async function* untilClosed(
  body: AsyncIterable<Buffer>,
  follower: StreamFollower,
): AsyncGenerator<Buffer, void, undefined> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await (follower.closed ? withinGrace(iterator.next()) : iterator.next());
      if (next === null || next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a body that is stuck may never confirm that it was let go.
    iterator.return?.().catch(() => undefined);
  }
}

async function withinGrace<T>(next: Promise<T>): Promise<T | null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), closingGraceMs);
  try {
    return await Promise.race([next, promise]);
  } catch {
    // The answer was complete before the connection broke.
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** A whole body, or null where it is larger than `limit` bytes. */
export async function readWhole(body: AsyncIterable<Buffer>, limit: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}
