import { type AnswerReading, nothingSaid } from '../dialects/dialect.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Soon } from '../domain/soon.ts';
import type { Outcome } from '../domain/transaction.ts';
import { type Unreachable, UpstreamBodyError, type UpstreamResponse } from '../upstream/upstream.ts';
import type { Exchange, ExchangeOptions } from './exchange.ts';
import { finishStream } from './finish-stream.ts';
import { contentTypeOf } from './headers.ts';
import { type NotWhole, readWhole, type WholeLimits } from './read-whole.ts';
import { gatewayStops, isJson } from './relay.ts';
import { amountHeaders, isForClient, sendWhole } from './respond.ts';
import { commitPriced, price, settle, voidIt } from './settle.ts';
import { renewWithinMs } from './stream-delivery.ts';
import {
  lostTouchBefore,
  noRoom,
  stoppedBefore,
  timedOut,
  tooLarge,
  unavailable,
  uncovered,
  unreadable,
  unreadableAnswer,
  voidedByAnother,
} from './upstream-refusals.ts';

/** What upstream's answer becomes: one end of the request, and the answer of the client. */
export async function finish(exchange: Exchange, options: ExchangeOptions): Promise<Refusal | null> {
  const { answer } = exchange.forwarded;
  if (answer.kind === 'unreachable') return await finishUnreachable(exchange, answer, options);
  const isRefused = answer.status < 200 || answer.status > 299;
  const isStream = !isRefused && exchange.request.isStreamed(contentTypeOf(answer));
  if (isStream) return await finishStream(exchange, answer, options);
  const held = options.answers.open();
  try {
    const body = await readBody(answer, { maxBytes: options.maxAnswerBytes, held });
    // What it had is gone already, and others wait for the room.
    if (typeof body === 'string') held.letGo();
    return await (isRefused ? finishRefused : finishAnswer)(exchange, { ...answer, body }, options);
  } finally {
    held.letGo();
  }
}

/** An answer that is there as a whole, or the reason why it isn't. */
type WholeResponse = Omit<UpstreamResponse, 'body'> & {
  readonly body: Buffer | UpstreamBodyError['reason'] | NotWhole;
};

/** Upstream never answered: nothing is charged, unless it was the client that didn't wait. */
async function finishUnreachable(
  exchange: Exchange,
  { reason, sent }: Unreachable,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  if (exchange.client.gone.aborted) {
    await settleGone(exchange, sent, options);
    return null;
  }
  if (isStopped(exchange)) return await finishStopped(exchange, options);
  // Cancelled though the client is there: it took longer than a request may.
  const timeout = reason !== 'connection';
  await voidIt(exchange, timeout ? 'timeout' : 'upstream_refused', `upstream: ${reason}`, options);
  return timeout ? timedOut : unavailable;
}

function isStopped({ signal }: Exchange): boolean {
  return signal.aborted && signal.reason === gatewayStops;
}

/** Of an answer that the drain could not wait for, nothing is handed out. */
async function finishStopped(exchange: Exchange, options: ExchangeOptions): Promise<Refusal> {
  await voidIt(exchange, 'gateway_died', 'the gateway was stopped', options);
  return stoppedBefore;
}

/** Upstream refused: its answer is the client's, and nothing is charged. */
async function finishRefused(
  exchange: Exchange,
  response: WholeResponse,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  const { status, body } = response;
  await voidIt(exchange, 'upstream_refused', `upstream: status ${status}`, options);
  if (typeof body === 'string') return body === 'no_room' ? noRoom : unavailable;
  if (isForClient(status, body)) sendWhole(exchange, response, body, {});
  else if (status < 400 || status >= 500) return unavailable;
  // The words of something in between never matter; its status may, to a client that is too fast or too large.
  else
    sendWhole(exchange, response, exchange.dialect.errorBody(unreadable), {
      'content-type': 'application/json',
    });
  return null;
}

const nothing: AnswerReading = { ...nothingSaid, generated: { texts: [], overhead: 0 } };

/** The client didn't wait: it pays for the prompt once upstream has been sent it. */
async function settleGone(exchange: Exchange, sent: boolean, options: ExchangeOptions): Promise<void> {
  if (sent) await settle(exchange, { outcome: 'client_gone', reading: nothing, complete: false }, options);
  else await voidIt(exchange, 'client_gone', 'gone before upstream was asked', options);
}

/** A whole answer: it is metered and committed, then passed on with what it cost. */
async function finishAnswer(
  exchange: Exchange,
  response: WholeResponse,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  const { body } = response;
  if (typeof body === 'string') return await finishBroken(exchange, body, options);
  const reading = exchange.dialect.readAnswer(body, {
    quirks: exchange.forwarded.target.upstream.quirks,
    request: exchange.request,
  });
  if (reading.error !== null && reading.usage === null && reading.generated.texts.length === 0) {
    await voidIt(exchange, 'upstream_error', reading.error, options);
    // What can't be read can't be billed, so it isn't handed out either.
    if (!isJson(body)) return unreadableAnswer;
    sendWhole(exchange, response, body, {});
    return null;
  }
  const outcome = wholeOutcome(exchange, reading);
  const priced = await price(exchange, { outcome, reading, complete: true }, options);
  options.hiddenOutput.learn(exchange.forwarded.target.route.upstreamModel, reading);
  const { hold, client } = exchange;
  if (!hold.mayOverdraw && !client.gone.aborted) {
    const refused = await hold.cover(priced.charged.amount);
    // It is delivered as a whole or not at all.
    if (refused !== null) {
      await voidIt(exchange, 'balance_exhausted', 'it cost more than could be held for it', options);
      return uncovered(refused);
    }
  }
  const may = mayCharge(exchange, options);
  if (!(may instanceof Promise ? await may : may)) {
    await voidIt(exchange, 'gateway_died', 'the gateway lost touch with its ledger', options);
    return lostTouchBefore;
  }
  const settled = await commitPriced(exchange, priced, options);
  // It was taken for an orphan of which nothing was delivered, and so it is now.
  if (settled?.kind === 'not_charged') return voidedByAnother;
  sendWhole(exchange, response, body, amountHeaders(settled));
  return null;
}

/**
 * Whether nobody else can have closed it. Asked before the commit and never after it: one that waits for its ledger may
 * still be written, and what is charged has to be handed out.
 */
function mayCharge({ open }: Exchange, { lease }: ExchangeOptions): Soon<boolean> {
  return lease.isValid(open.owner) || lease.renewed(open.owner, renewWithinMs);
}

/** A body that ended early: of an answer that isn't a stream, nothing was delivered. */
async function finishBroken(
  exchange: Exchange,
  failure: UpstreamBodyError['reason'] | NotWhole,
  options: ExchangeOptions,
): Promise<Refusal | null> {
  if (exchange.client.gone.aborted) {
    await settleGone(exchange, true, options);
    return null;
  }
  if (failure === 'aborted' && isStopped(exchange)) return await finishStopped(exchange, options);
  const late = failure === 'timeout' || failure === 'aborted';
  await voidIt(exchange, late ? 'timeout' : 'upstream_cut', `upstream: ${failure}`, options);
  if (failure === 'too_large') return tooLarge;
  if (failure === 'no_room') return noRoom;
  return late ? timedOut : unavailable;
}

async function readBody(response: UpstreamResponse, limits: WholeLimits): Promise<WholeResponse['body']> {
  try {
    return await readWhole(response.body, limits);
  } catch (error) {
    if (error instanceof UpstreamBodyError) return error.reason;
    throw error;
  }
}

function wholeOutcome({ client }: Exchange, { error }: AnswerReading): Outcome {
  if (client.gone.aborted) return 'client_gone';
  return error === null ? 'completed' : 'upstream_error';
}
