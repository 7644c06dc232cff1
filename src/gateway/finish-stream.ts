import type { StreamFollower, StreamReading } from '../dialects/dialect.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Outcome } from '../domain/transaction.ts';
import type { UpstreamResponse } from '../upstream/upstream.ts';
import type { Exchange, ExchangeOptions } from './exchange.ts';
import { contentTypeOf } from './headers.ts';
import { type Relayed, relayStream } from './relay.ts';
import { startAnswer } from './respond.ts';
import { commitPriced, type Ending, price, settle, voidIt } from './settle.ts';
import { createStreamCover, type StreamCover } from './stream-cover.ts';
import { StreamDelivery, undelivered } from './stream-delivery.ts';
import { brokenOff, stalled, stopped, timedOut, unavailable, uncovered } from './upstream-refusals.ts';

/** Upstream streams: its events go on as they come, and the closing one after the commit. */
export async function finishStream(
  exchange: Exchange,
  response: UpstreamResponse,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  const { dialect, request, forwarded } = exchange;
  const follower = dialect.followStream({
    quirks: forwarded.target.upstream.quirks,
    request,
    contentType: contentTypeOf(response),
  });
  const start = () => startAnswer(exchange, response, {});
  const delivery = new StreamDelivery({ exchange, follower, cover: coverOf(exchange, options) }, options);
  try {
    const relayed = await deliver(exchange, { response, follower, delivery, start }, options);
    return await close(exchange, relayed, { follower, delivery, start }, options);
  } finally {
    delivery.end();
  }
}

interface Delivered {
  readonly follower: StreamFollower;
  readonly delivery: StreamDelivery;
  start(): void;
}

/** Commits what was delivered, or voids what was not, and ends the answer. */
async function close(
  exchange: Exchange,
  relayed: Relayed,
  { follower, delivery, start }: Delivered,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  const { client, open } = exchange;
  const { outcome, complete, heldBack, started, ended, fault } = relayed;
  if (fault !== null) options.observer.fault('relaying a stream', fault, open.traceId);
  const reading = ended === null ? follower.reading() : ended.delivered;
  if (reading === null || isUnbegun(reading, outcome)) {
    const refused = ended?.refused ?? null;
    delivery.end();
    return await finishUnbegun(exchange, outcome, { follower, heldBack, started, start, refused }, options);
  }
  const end = endOf(relayed, reading);
  const refused = await settleCovered(exchange, end, delivery, options);
  if (client.gone.aborted) return null;
  if (!started) start();
  const why = refused ?? ended?.refused ?? whyBroken(outcome);
  if (complete && refused === null) client.end(Buffer.concat(heldBack));
  else client.end(follower.errorEnd(why));
  return null;
}

function whyBroken(outcome: Outcome): Refusal {
  if (outcome === 'gateway_died') return stopped;
  return outcome === 'timeout' ? stalled : brokenOff;
}

interface Delivering extends Delivered {
  readonly response: UpstreamResponse;
}

/** Passes it on, with checkpoints from its first byte until it is closed. */
async function deliver(
  exchange: Exchange,
  { response, follower, delivery, start }: Delivering,
  options: ExchangeOptions,
): Promise<Relayed> {
  const { client, signal } = exchange;
  const begin = () => {
    start();
    exchange.progress.spans?.firstChunk();
    delivery.begin();
  };
  const { cover, mayDeliver, onSent } = delivery;
  const passing = { cover, mayDeliver, onSent, clock: options.clock, start: begin };
  const relayed = await relayStream({ response, follower, client, signal, ...passing });
  delivery.isOver();
  return relayed;
}

function coverOf({ open, hold, request, forwarded }: Exchange, options: ExchangeOptions): StreamCover {
  return createStreamCover({
    hold,
    request,
    upstreamModel: forwarded.target.route.upstreamModel,
    prices: open.prices,
    multiplierPpm: open.terms.rateMultiplierPpm,
    tokenizer: options.tokenizer,
    onFault: (error) => options.observer.fault('counting what a stream has cost', error, open.traceId),
  });
}

function isUnbegun({ begun, usage }: StreamReading, outcome: Outcome): boolean {
  return !begun && usage === null && outcome !== 'client_gone' && outcome !== 'completed';
}

function endOf({ outcome, complete, ended }: Relayed, reading: StreamReading): Ending {
  // What came before an error is an account of the whole answer only where it was the final one.
  const isAccountedFor = complete && (reading.error === null || reading.usageIsFinal);
  const code = ended?.refused?.code ?? null;
  return {
    outcome,
    reading: code === null ? reading : { ...reading, error: code },
    complete: isAccountedFor,
  };
}

/**
 * Commits what the stream costs, if that is covered. Only here may it turn out what reasoning that was never
 * seen has cost: where the hold can't be made to cover that, the stream ends as if it had broken off, and is
 * charged for what was delivered.
 * @returns why the stream has to end before its closing event; null where it doesn't
 */
async function settleCovered(
  exchange: Exchange,
  end: Ending,
  delivery: StreamDelivery,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  const { hold, forwarded, client } = exchange;
  const priced = await price(exchange, end, options);
  if (end.complete) options.hiddenOutput.learn(forwarded.target.route.upstreamModel, end.reading);
  const refused = end.complete ? await hold.cover(priced.charged.amount) : null;
  delivery.end();
  if (refused === null) {
    return undelivered(await commitPriced(exchange, priced, options), exchange, options);
  }
  const outcome = client.gone.aborted ? 'client_gone' : 'balance_exhausted';
  const reading = { ...end.reading, usage: null, otherModels: [], error: refused.code };
  await settle(exchange, { outcome, reading, complete: false }, options);
  return refused;
}

interface Unbegun {
  readonly follower: StreamFollower;
  readonly heldBack: readonly Buffer[];
  readonly started: boolean;
  /** Why it ended before it began, where that was not upstream's doing. */
  readonly refused: Refusal | null;
  start(): void;
}

/** A stream that failed before anything was generated: nothing is charged. */
async function finishUnbegun(
  exchange: Exchange,
  outcome: Outcome,
  { follower, heldBack, started, start, refused: own }: Unbegun,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  const { client } = exchange;
  await voidIt(exchange, outcome, 'nothing was generated', options);
  const refused = own === null ? (outcome === 'timeout' ? timedOut : unavailable) : uncovered(own);
  // What upstream said of its failure went to the client; otherwise there is still time for a status.
  if (!started && heldBack.length === 0) return refused;
  if (!started) start();
  client.end(outcome === 'upstream_error' ? Buffer.concat(heldBack) : follower.errorEnd(refused));
  return null;
}
