import { formatAmount } from '../domain/money.ts';
import type { UpstreamResponse } from '../upstream/upstream.ts';
import type { Settled } from './commit.ts';
import type { Exchange } from './exchange.ts';
import { headersForClient } from './headers.ts';
import { isJson } from './relay.ts';
import type { ResponseHeaders } from './request.ts';

/** What it cost, where that is known in time. */
export function amountHeaders(settled: Settled | null): ResponseHeaders {
  if (settled?.kind !== 'charged') return {};
  return {
    'x-billing-amount': formatAmount(settled.amount),
    'x-billing-balance': formatAmount(settled.balanceAfter),
  };
}

/** All that answering needs of an exchange, or of a request that has none because it is free. */
type Answering = Pick<Exchange, 'client' | 'progress'>;

/**
 * Whether upstream's own answer is the client's. A redirect isn't: it would lead the client past the bill.
 * Nor is a page that isn't JSON: it comes from something in between.
 */
export function isForClient(status: number, body: Buffer): boolean {
  return status >= 200 && (status < 300 || status >= 400) && isJson(body);
}

/** Sends upstream's head, less what is not the client's business, with what identifies the request. */
export function startAnswer(
  { client, progress }: Answering,
  response: Pick<UpstreamResponse, 'status' | 'headers'>,
  more: ResponseHeaders,
): void {
  progress.firstByte();
  client.start({
    kind: 'upstream',
    status: response.status,
    headers: { ...headersForClient(response.headers), ...progress.ownHeaders(), ...more },
  });
}

/** Answers with a body that is there as a whole. */
export function sendWhole(
  answering: Answering,
  response: Pick<UpstreamResponse, 'status' | 'headers'>,
  body: Buffer,
  more: ResponseHeaders,
): void {
  if (answering.client.gone.aborted) return;
  startAnswer(answering, response, { ...more, 'content-length': String(body.length) });
  answering.client.end(body);
}
