import type { Server, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { systemClock, within } from '../domain/clock.ts';
import { Roster } from '../domain/roster.ts';

export interface DrainedRequests {
  /** Resolves when every request has its answer. */
  idle(): Promise<void>;
  /** Ends those that still run: each is told so, and closed, as soon as it can be. */
  cut(): void;
}

/** For what was cut, to be closed and told so. */
const cutWithinMs = 3_000;

export interface Drain {
  /**
   * Takes no more connections and lets what runs finish, for `graceMs` at most; then it is cut.
   * @returns whether it was in time
   */
  drain(requests: DrainedRequests, graceMs: number): Promise<boolean>;
}

/**
 * Node keeps a connection that never carried a request for as long as its headers may take, and its
 * server isn't closed before. So it is known here when the last answer was sent, and the rest is cut.
 */
export function watchAnswers(server: FastifyInstance): Drain {
  const sending = new Roster<ServerResponse>();
  let wake: (() => void) | null = null;
  server.server.on('request', (_, response) => {
    const place = sending.enter(response);
    response.on('close', () => {
      sending.leave(response, place);
      if (sending.size === 0) wake?.();
    });
  });

  const allSent = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
      if (sending.size === 0) resolve();
    });

  return {
    drain: async ({ idle, cut }, graceMs) => {
      const closed = server.close();
      const finished = idle().then(allSent);
      const inTime = await isWithin(finished, graceMs);
      if (!inTime) {
        cut();
        await isWithin(finished, cutWithinMs);
      }
      (server.server as Server).closeAllConnections();
      await closed;
      return inTime;
    },
  };
}

async function isWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  return (
    (await within(
      systemClock,
      work.then(() => true),
      ms,
    )) ?? false
  );
}
