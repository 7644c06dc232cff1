import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Dialect } from '../dialects/dialect.ts';
import type { Timers } from '../domain/clock.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import { type WireError, wireError } from './response-client.ts';
import { headersTooLargeStatus, statusOf } from './status.ts';

/** After the answer, so long the client may go on sending: cut at once, it could not read it. */
const closingMs = 2_000;

/** And no more than this. */
const closingBytes = 1024 * 1024;

export interface UnreadableOptions {
  /** What is no request belongs to no dialect: errors take the shape of this one. */
  readonly dialect: Dialect;
  readonly maxHeaderBytes: number;
  readonly timers: Timers;
}

interface UnreadableError extends Error {
  readonly code?: string;
  readonly reason?: string;
}

/** What Node calls where a connection carries no request, or not in time. */
export type ClientErrorHandler = (error: UnreadableError, socket: Socket) => void;

/** Answers what never became a request in the same words and shape as what did. */
export function answerUnreadable({ dialect, maxHeaderBytes, timers }: UnreadableOptions): {
  readonly handler: ClientErrorHandler;
  /** The handler has to know whether an answer was begun already: it would be broken by another. */
  watch(server: Server): void;
} {
  const newest = new WeakMap<Socket, ServerResponse>();
  const closing = new WeakMap<Socket, number>();

  function handler(error: UnreadableError, socket: Socket): void {
    const closingSinceBytes = closing.get(socket);
    if (closingSinceBytes !== undefined) {
      // What it goes on sending is an error each time.
      if (socket.bytesRead - closingSinceBytes > closingBytes) socket.destroy();
      return;
    }
    const response = newest.get(socket);
    // Also one whose answer has not begun: it runs, and may be charged.
    const isAnswering =
      response?.writableFinished === false && (response.headersSent || response.req.complete);
    const isLate = response?.writableFinished === true && !response.req.complete;
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering || isLate) {
      socket.destroy();
      return;
    }
    closing.set(socket, socket.bytesRead);
    const { refused, status } = refusalOf(error, maxHeaderBytes);
    closeWith(socket, { ...wireError(refused, dialect), status });
    const forget = timers.after(closingMs, () => socket.destroy());
    socket.once('close', forget);
  }

  const watch = (server: Server) => {
    server.on('request', (request: IncomingMessage, response) => newest.set(request.socket, response));
  };
  return { handler, watch };
}

interface RefusedAs {
  readonly refused: Refusal;
  readonly status: number;
}

function refusalOf({ code, reason, message }: UnreadableError, maxHeaderBytes: number): RefusedAs {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW': {
      const words = `The headers are larger than ${maxHeaderBytes} bytes. Nothing was charged.`;
      return { refused: refusal('REQUEST_TOO_LARGE', words), status: headersTooLargeStatus };
    }
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return plain(refusal('REQUEST_TOO_LARGE', 'The extensions of the chunks are too large.'));
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return plain(refusal('REQUEST_TOO_SLOW', 'The request did not come in time. Nothing was charged.'));
    default: {
      const words = `This is not a request of HTTP/1.1 (${reason ?? message}). Nothing was charged.`;
      return plain(refusal('REQUEST_INVALID', words));
    }
  }
}

function plain(refused: Refusal): RefusedAs {
  return { refused, status: statusOf[refused.code] };
}

/** An answer without the machinery of a request, after which the connection ends. */
function closeWith(socket: Socket, { status, headers, body }: WireError): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n${lines.join('')}\r\n`;
  socket.end(Buffer.concat([Buffer.from(head), body]));
}
