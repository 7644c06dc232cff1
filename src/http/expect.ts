import type { Server } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Whoever asks before it sends its body is answered by whoever reads it, and not before. */
export function leaveExpectations(server: Server): void {
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
}

/** The body is read now: a client that waits for that may send it. */
export function permitBody(request: FastifyRequest, reply: FastifyReply): void {
  if (request.headers.expect !== undefined) reply.raw.writeContinue();
}
