import { formatAmount } from '../domain/money.ts';
import type { UpstreamResponse } from '../upstream/upstream.ts';
import type { Charged, NotCharged } from './commit.ts';
import type { Exchange } from './exchange.ts';
import { headersForClient } from './headers.ts';
import type { ResponseHeaders } from './request.ts';

/** What it cost, where that is known in time. */
export function amountHeaders(settled: Charged | NotCharged | null): ResponseHeaders {
  if (settled?.kind !== 'charged') return {};
  return {
    'x-billing-amount': formatAmount(settled.amount),
    'x-billing-balance': formatAmount(settled.balanceAfter),
  };
}

/** Sends upstream's head, less what is not the client's business, with what identifies the request. */
export function startAnswer(
  { client, progress }: Exchange,
  response: UpstreamResponse,
  more: ResponseHeaders,
): void {
  progress.firstByte();
  client.start({
    kind: 'upstream',
    status: response.status,
    headers: { ...headersForClient(response.headers), ...progress.identifyingHeaders(), ...more },
  });
}

/** Answers with a body that is there as a whole. */
export function sendWhole(
  exchange: Exchange,
  response: UpstreamResponse,
  body: Buffer,
  more: ResponseHeaders,
): void {
  if (exchange.client.gone.aborted) return;
  startAnswer(exchange, response, { ...more, 'content-length': String(body.length) });
  exchange.client.end(body);
}
