import type { FastifyReply } from 'fastify';
import type { Dialect } from '../dialects/dialect.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Observer } from '../observability/observer.ts';
import { wireError } from './response-client.ts';

/** @param otherStatus where it isn't the code's own */
export function send(
  reply: FastifyReply,
  refused: Refusal,
  dialect: Dialect,
  otherStatus?: number,
): FastifyReply {
  const { status, headers, body } = wireError(refused, dialect);
  return reply
    .code(otherStatus ?? status)
    .headers(headers)
    .send(body);
}

/** What the pipeline never sees is told here. `status`: where it isn't the code's own. */
export function turnAway(
  reply: FastifyReply,
  refused: Refusal,
  dialect: Dialect,
  { observer, status }: { readonly observer: Observer; readonly status?: number | undefined },
): FastifyReply {
  observer.turnedAway(refused.code);
  return send(reply, refused, dialect, status);
}
