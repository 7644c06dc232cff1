import type { Server, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';

export interface Drain {
  /**
   * Takes no more connections and lets what runs finish, for `graceMs` at most.
   * @param idle resolves when every request has its answer
   * @returns whether it was in time
   */
  drain(idle: () => Promise<void>, graceMs: number): Promise<boolean>;
}

/**
 * Node keeps a connection that never carried a request for as long as its headers may take, and its
 * server isn't closed before. So it is known here when the last answer was sent, and the rest is cut.
 */
export function watchAnswers(server: FastifyInstance): Drain {
  const sending = new Set<ServerResponse>();
  let wake: (() => void) | null = null;
  server.server.on('request', (_, response) => {
    sending.add(response);
    response.on('close', () => {
      sending.delete(response);
      if (sending.size === 0) wake?.();
    });
  });

  const allSent = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
      if (sending.size === 0) resolve();
    });

  return {
    drain: async (idle, graceMs) => {
      const closed = server.close();
      const { promise: late, resolve } = Promise.withResolvers<false>();
      const timer = setTimeout(() => resolve(false), graceMs);
      const finished = idle().then(allSent);
      const inTime = await Promise.race([finished.then(() => true), late]);
      clearTimeout(timer);
      (server.server as Server).closeAllConnections();
      await closed;
      return inTime;
    },
  };
}
