import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Refusal, refusal, refusalOf } from '../domain/errors.ts';
import type { ReadBody } from './body.ts';
import { connectionsFull } from './connections.ts';
import { noRoom } from './intake.ts';

// What is refused of a request before anybody looks at what it asks for. Nothing of it is charged.

/** What the web framework refuses is the request's fault, and anything else is ours. */
export function requestRefusal(error: Error & { readonly statusCode?: number }): Refusal {
  const { statusCode = 500, message } = error;
  if (statusCode < 500) return refusal('REQUEST_INVALID', `${message}. Nothing was charged.`);
  return refusalOf(error, 'Something went wrong before the request could be served. Nothing was charged.');
}

/** More than any client sends; each is looked at, and most are passed on. */
const maxHeaders = 256;
export const tooManyHeaders = refusal(
  'REQUEST_TOO_LARGE',
  `The request has more than ${maxHeaders} headers. Nothing was charged.`,
);
const pipelined = refusal(
  'REQUEST_INVALID',
  'This request was sent before the answer to the one before it had ended. Send one at a time on a connection. Nothing was charged.',
);

/** What is refused by the head of the request alone, whoever sent it. */
export function headRefusal(
  { raw }: FastifyRequest,
  reply: FastifyReply,
  { isBeyond }: { readonly isBeyond: (socket: Socket) => boolean },
): Refusal | null {
  if (raw.rawHeaders.length / 2 > maxHeaders) return tooManyHeaders;
  // Its answer would gather in memory until the one before it has ended, and nobody would hear that its client left.
  const isPipelined = reply.raw.socket === null;
  if (!isPipelined && !isBeyond(raw.socket)) return null;
  reply.header('connection', 'close');
  return isPipelined ? pipelined : connectionsFull;
}

export function tooLarge(maxBodyBytes: number): Refusal {
  return refusal('REQUEST_TOO_LARGE', `The body is larger than ${maxBodyBytes} bytes. Nothing was charged.`);
}

export function bodyRefusal(
  { kind }: Exclude<ReadBody, { kind: 'body' }>,
  { maxBodyBytes, stallMs }: { readonly maxBodyBytes: number; readonly stallMs: number },
): Refusal {
  switch (kind) {
    case 'too_large':
      return tooLarge(maxBodyBytes);
    case 'too_slow': {
      const words = `The body came too slowly, or nothing of it for ${stallMs / 1000} s. Nothing was charged.`;
      return refusal('REQUEST_TOO_SLOW', words);
    }
    case 'no_room':
      return noRoom;
  }
}

export function encodingRefusal({ headers }: FastifyRequest): Refusal | null {
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return null;
  return refusal('REQUEST_INVALID', `Send the body without compression, not as "${encoding}".`);
}

/** A type, a subtype, and whatever parameters (RFC 9110, section 8.3). */
const mediaType = /^\s*[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(;|$)/;

/** Whatever type it says, it is read as JSON; what says none at all comes from a client that is broken. */
export function contentTypeRefusal({ headers }: FastifyRequest): Refusal | null {
  const type = headers['content-type'];
  if (type === undefined || type === 'application/json' || mediaType.test(type)) return null;
  return refusal('REQUEST_INVALID', `"${type.slice(0, 100)}" is no content type. Nothing was charged.`);
}
