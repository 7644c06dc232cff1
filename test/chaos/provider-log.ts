import type { ReceivedRequest, RequestLog } from '../../src/simulator/request-log.ts';
import type { Upstream } from './records.ts';

/** Keeps what the simulator's own log forgets in a long run. */
export interface ProviderLog {
  /** By the mark in each request's body. */
  read(): ReadonlyMap<string, readonly Upstream[]>;
  stop(): void;
}

/** Much sooner than the thousand requests that the simulator remembers have come. */
const looksEveryMs = 250;

export function keepProviderLog(log: RequestLog): ProviderLog {
  const received = new Set<ReceivedRequest>();
  const look = () => {
    for (const request of log.recent) received.add(request);
  };
  const timer = setInterval(look, looksEveryMs);
  return {
    read: () => {
      look();
      const byMark = new Map<string, Upstream[]>();
      for (const request of received) {
        const mark = String((JSON.parse(request.body) as { readonly user?: string }).user);
        const sent: Upstream = {
          outcome: request.outcome,
          tokensSent: request.tokensSent,
          promptTokens: request.usage?.promptTokens ?? null,
          completionTokens: request.usage?.completionTokens ?? null,
        };
        byMark.set(mark, [...(byMark.get(mark) ?? []), sent]);
      }
      return byMark;
    },
    stop: () => clearInterval(timer),
  };
}
