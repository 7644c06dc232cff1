import type { IncomingMessage, Server } from 'node:http';
import type { Timers } from '../domain/clock.ts';
import { watchPace } from './pace.ts';

export interface LingerOptions {
  /** Of a body that nobody reads, so much, and what comes in a second, is thrown away before the connection is cut. */
  readonly maxBytes: number;
  readonly stallMs: number;
  readonly timers: Timers;
}

/**
 * A client that is answered while it is still sending may read the answer only when it has sent everything:
 * cut at once, it would see a broken connection instead of the reason. So the rest is taken for a while.
 */
export function lingerAfterAnswers(server: Server, options: LingerOptions): void {
  server.on('request', (request, response) => {
    response.once('finish', () => {
      if (!request.complete) discardRest(request, options);
    });
  });
}

const looksEveryMs = 1_000;

function discardRest(request: IncomingMessage, { maxBytes, stallMs, timers }: LingerOptions): void {
  const { socket } = request;
  const atFirst = socket.bytesRead;
  // Node throws the rest of an answered request away without an event of it: the socket alone tells how much came.
  const discarded = () => socket.bytesRead - atFirst;
  const cut = () => socket.destroy();
  const forgetPace = watchPace({ movedBytes: discarded, stallMs, timers, onStall: cut });
  const look = () => {
    if (discarded() > maxBytes) cut();
    else forgetLook = timers.after(looksEveryMs, look);
  };
  let forgetLook = timers.after(looksEveryMs, look);
  const forget = () => {
    forgetPace();
    forgetLook();
  };
  request.once('end', forget);
  request.once('close', forget);
}
