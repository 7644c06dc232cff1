import type { IncomingMessage, Server } from 'node:http';
import type { Timers } from '../domain/clock.ts';
import { watchPace } from './pace.ts';

export interface LingerOptions {
  /** Of a body that nobody reads, so much is taken and thrown away before the connection is cut. */
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

function discardRest(request: IncomingMessage, { maxBytes, stallMs, timers }: LingerOptions): void {
  let discarded = 0;
  const cut = () => request.socket.destroy();
  const forget = watchPace({ movedBytes: () => discarded, stallMs, timers, onStall: cut });
  request.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > maxBytes) cut();
  });
  request.once('end', forget);
  request.once('close', forget);
}
