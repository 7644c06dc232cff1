import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Timers } from '../domain/clock.ts';
import { refusal } from '../domain/errors.ts';

export interface ConnectionsOptions {
  readonly maxConnections: number;
  readonly timers: Timers;
}

/** Tells which connections are beyond the limit: their requests are refused. */
export interface BoundConnections {
  isBeyond(socket: Socket): boolean;
}

export const connectionsFull = refusal(
  'OVERLOADED',
  'This gateway has as many connections as it can at the moment. Nothing was charged; try again.',
  { retryAfterSeconds: 1 },
);

/** So many beyond the limit are told why, and whoever runs this can still ask how it is; the others are just cut. */
const toldAtOnce = 64;
const toldWithinMs = 5_000;

/** A connection costs memory and a file before it says who it is, so there are no more than a process has. */
export function boundConnections(server: Server, options: ConnectionsOptions): BoundConnections {
  const { maxConnections, timers } = options;
  const beyond = new WeakSet<Socket>();
  let open = 0;
  server.maxConnections = maxConnections + toldAtOnce;
  server.on('connection', (socket: Socket) => {
    open++;
    socket.once('close', () => {
      open--;
    });
    if (open <= maxConnections) return;
    beyond.add(socket);
    const forget = timers.after(toldWithinMs, () => socket.destroy());
    socket.once('close', forget);
  });
  return { isBeyond: (socket) => beyond.has(socket) };
}
