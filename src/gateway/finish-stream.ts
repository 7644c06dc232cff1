import type { StreamFollower } from '../dialects/dialect.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Outcome } from '../domain/transaction.ts';
import type { UpstreamResponse } from '../upstream/upstream.ts';
import type { Exchange, ExchangeOptions } from './exchange.ts';
import { contentTypeOf } from './headers.ts';
import { relayStream } from './relay.ts';
import { startAnswer } from './respond.ts';
import { settle, voidIt } from './settle.ts';
import { brokenOff, stalled, timedOut, unavailable } from './upstream-refusals.ts';

/** Upstream streams: its events go on as they come, and the closing one after the commit. */
export async function finishStream(
  exchange: Exchange,
  response: UpstreamResponse,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  const { dialect, request, client, forwarded, signal, open } = exchange;
  const follower = dialect.followStream({
    quirks: forwarded.target.upstream.quirks,
    request,
    contentType: contentTypeOf(response),
  });
  const start = () => startAnswer(exchange, response, {});
  const relayed = await relayStream({ response, follower, client, signal, start });
  const { outcome, complete, heldBack, started, fault } = relayed;
  if (fault !== null) options.observer.fault('relaying a stream', fault, open.traceId);
  const reading = follower.reading();
  if (!reading.begun && reading.usage === null && outcome !== 'client_gone' && outcome !== 'completed') {
    return await finishUnbegun(exchange, outcome, { follower, heldBack, started, start }, options);
  }
  // What came before an error is an account of the whole answer only where it was the final one.
  const isAccountedFor = complete && (reading.error === null || reading.usageIsFinal);
  await settle(exchange, { outcome, reading, complete: isAccountedFor }, options);
  if (client.gone.aborted) return null;
  if (!started) start();
  if (complete) client.end(Buffer.concat(heldBack));
  else client.end(follower.errorEnd(outcome === 'timeout' ? stalled : brokenOff));
  return null;
}

interface Unbegun {
  readonly follower: StreamFollower;
  readonly heldBack: readonly Buffer[];
  readonly started: boolean;
  start(): void;
}

/** A stream that failed before anything was generated: nothing is charged. */
async function finishUnbegun(
  exchange: Exchange,
  outcome: Outcome,
  { follower, heldBack, started, start }: Unbegun,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  const { client } = exchange;
  await voidIt(exchange, outcome, 'nothing was generated', options);
  const refused = outcome === 'timeout' ? timedOut : unavailable;
  // What upstream said of its failure went to the client; otherwise there is still time for a status.
  if (!started && heldBack.length === 0) return refused;
  if (!started) start();
  client.end(outcome === 'upstream_error' ? Buffer.concat(heldBack) : follower.errorEnd(refused));
  return null;
}
